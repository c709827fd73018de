"""A bus's resource policy can stand in a template, and is told with the bus.

ministack does not know the type, and rolls the stack back. The policy is kept and shown, and, as all policies by default, not
enforced.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbuspolicy.html
"""

from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners


def _put(properties: dict) -> str:
    bus, statement_id = properties.get("EventBusName", "default"), properties["StatementId"]
    if "Statement" not in properties:
        raise ValueError("AWS::Events::EventBusPolicy: only the property Statement is known here")
    empty = {"Version": "2012-10-17", "Statement": []}
    policy = eventbridge._event_bus_policies.get(bus) or empty
    others = [statement for statement in policy["Statement"] if statement.get("Sid") != statement_id]
    policy["Statement"] = others + [{"Sid": statement_id, **properties["Statement"]}]
    eventbridge._event_bus_policies[bus] = policy
    return f"{bus}|{statement_id}"


def _create(_logical_id, properties, _stack):
    return _put(properties), {}


def _update(_physical_id, _old, new, *_rest, **_named):
    return _put(new), {}


def _delete(physical_id, *_rest, **_named):
    bus, statement_id = physical_id.split("|")
    eventbridge._remove_permission({"EventBusName": bus, "StatementId": statement_id})


def install() -> None:
    provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = {
        "create": _create,
        "update": _update,
        "delete": _delete,
    }
