"""An archive of a bus can stand in a template.

ministack knows archives by API only, and rolls the stack back. Here the same archive is made, so that replays work.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-archive.html
"""

import json

from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners


def _ask(operation, data) -> dict:
    status, _, body = operation(data)
    answer = json.loads(body)
    if status >= 400:
        raise ValueError(answer.get("message") or answer)
    return answer


def _request(name, properties) -> dict:
    pattern = properties.get("EventPattern", "")
    return {
        "ArchiveName": name,
        "EventSourceArn": properties["SourceArn"],
        "Description": properties.get("Description", ""),
        "EventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern),
        "RetentionDays": int(properties.get("RetentionDays", 0)),
    }


def _create(logical_id, properties, stack):
    # Names have 48 characters at most.
    name = properties.get("ArchiveName") or f"{stack}-{logical_id}"[:48]
    made = _ask(eventbridge._create_archive, _request(name, properties))
    return name, {"Arn": made["ArchiveArn"], "ArchiveName": name}


def _update(physical_id, _old, properties, *_rest, **_named):
    made = _ask(eventbridge._update_archive, _request(physical_id, properties))
    return physical_id, {"Arn": made["ArchiveArn"], "ArchiveName": physical_id}


def _delete(physical_id, *_rest, **_named):
    eventbridge._delete_archive({"ArchiveName": physical_id})


def install() -> None:
    provisioners._RESOURCE_HANDLERS["AWS::Events::Archive"] = {
        "create": _create,
        "update": _update,
        "delete": _delete,
    }
