"""Adds steps to the resource handlers of ministack's CloudFormation."""

import json

from ministack.services.cloudformation import provisioners


def after(resource_type: str, step) -> None:
    """Runs `step(physical_id, properties)` whenever a resource of this type was created or updated."""
    handler = provisioners._RESOURCE_HANDLERS[resource_type]
    create, update = handler["create"], handler.get("update")

    def create_then(logical_id, properties, stack):
        result = create(logical_id, properties, stack)
        step(result[0], properties)
        return result

    def update_then(physical_id, old, new, *rest, **named):
        result = update(physical_id, old, new, *rest, **named)
        step(result[0] if isinstance(result, tuple) else physical_id, new)
        return result

    handler["create"] = create_then
    if update is not None:
        handler["update"] = update_then


def check(response) -> None:
    """Turns an error answer of a service call into a failed resource."""
    if response[0] >= 400:
        body = response[2]
        raise ValueError(body.decode() if isinstance(body, bytes) else json.dumps(body))
