"""A schema registry and its schemas can stand in a template.

ministack knows neither, and rolls the stack back. Here they are checked as the EventBridge schema registry would check
them, and kept nowhere: nobody in the local cloud asks for them.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-eventschemas-schema.html
https://docs.aws.amazon.com/eventbridge/latest/schema-reference/v1-registries-name-registryname-schemas-name-schemaname.html
"""

import json
import re

from ministack.core.responses import get_account_id, get_region
from ministack.services.cloudformation import provisioners

_NAME = re.compile(r"[A-Za-z0-9.@_-]+")
_TYPES = ("JSONSchemaDraft4", "OpenApi3")


def _demand(right: bool, message: str) -> None:
    if not right:
        raise ValueError(message)


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:schemas:{get_region()}:{get_account_id()}:{kind}/{name}"


def _registry(logical_id, properties, stack):
    name = properties.get("RegistryName") or f"{stack}-{logical_id}"
    _demand(len(name) <= 64 and _NAME.fullmatch(name) is not None, f"{name} cannot be the name of a registry")
    arn = _arn("registry", name)
    return arn, {"RegistryArn": arn, "RegistryName": name}


def _schema(logical_id, properties, stack):
    registry, content = properties["RegistryName"], properties["Content"]
    name = properties.get("SchemaName") or f"{stack}-{logical_id}"
    _demand(len(name) <= 385 and _NAME.fullmatch(name) is not None, f"{name} cannot be the name of a schema")
    _demand(properties["Type"] in _TYPES, f"{name}: a schema's type is one of {_TYPES}")
    _demand(len(properties.get("Description", "")) <= 256, f"{name}: the description is too long")
    _demand(0 < len(content) <= 100_000, f"{name}: the content is empty or too long")
    json.loads(content)
    arn = _arn("schema", f"{registry}/{name}")
    return arn, {"SchemaArn": arn, "SchemaName": name, "SchemaVersion": "1"}


def _updated(create):
    def update(physical_id, old, new, *rest, **named):
        return create("", new, "")

    return update


def install() -> None:
    for kind, create in (("Registry", _registry), ("Schema", _schema)):
        provisioners._RESOURCE_HANDLERS[f"AWS::EventSchemas::{kind}"] = {
            "create": create,
            "update": _updated(create),
            "delete": provisioners._cfn_noop_delete,
        }
