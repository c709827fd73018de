"""A dashboard and saved queries can stand in a template.

ministack knows neither, and rolls the stack back. Here they are checked as CloudWatch would check them, and kept nowhere:
nobody in the local cloud looks at them.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-dashboard.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-logs-querydefinition.html
"""

import json

from ministack.services.cloudformation import provisioners


def _dashboard(logical_id, properties, stack):
    body = json.loads(properties["DashboardBody"])
    if not body.get("widgets"):
        raise ValueError(f"{logical_id}: a dashboard has widgets")
    return properties.get("DashboardName") or f"{stack}-{logical_id}", {}


def _query(logical_id, properties, stack):
    if not properties["Name"] or not properties["QueryString"]:
        raise ValueError(f"{logical_id}: a query has a name and a text")
    name = f"{stack}-{logical_id}"
    return name, {"QueryDefinitionId": name}


def _updated(create):
    def update(physical_id, _old, properties, *_rest, **_named):
        return physical_id, create(physical_id, properties, "")[1]

    return update


def install() -> None:
    for kind, create in (("AWS::CloudWatch::Dashboard", _dashboard), ("AWS::Logs::QueryDefinition", _query)):
        provisioners._RESOURCE_HANDLERS[kind] = {
            "create": create,
            "update": _updated(create),
            "delete": provisioners._cfn_noop_delete,
        }
