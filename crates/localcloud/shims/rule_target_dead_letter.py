"""An event whose target does not exist goes to the target's dead-letter queue.

ministack drops it. A missing resource is not retried, so the event is dead-lettered at once.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

import json

from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, sqs


def _missing(arn: str) -> bool:
    if ":lambda:" in arn:
        return lambda_svc._get_func_record_for_ref(arn)[0] is None
    return ":sqs:" in arn and sqs._queue_by_arn(arn) is None


def _rule_arn(rule) -> str:
    return rule.get("Arn") or rule.get("RuleArn") or rule.get("Name", "") if isinstance(rule, dict) else str(rule)


def _text(value: str) -> dict:
    return {"DataType": "String", "StringValue": value}


def install() -> None:
    invoke = eventbridge._invoke_target

    def invoke_or_park(target, event, rule, view=None):
        arn = target.get("Arn", "")
        parking = (target.get("DeadLetterConfig") or {}).get("Arn")
        queue = sqs._queue_by_arn(parking) if parking else None
        if queue is None or not _missing(arn):
            return invoke(target, event, rule, view)
        matched = (view or eventbridge._pattern_event_view(event)).event_with_detail()
        # The original event, not what an input transformer made of it.
        eventbridge._dispatch_to_sqs(parse_arn(parking), json.dumps(matched))
        queue["messages"][-1]["message_attributes"] = {
            "ERROR_MESSAGE": _text("The target does not exist"),
            "RETRY_ATTEMPTS": _text("0"),
            "RULE_ARN": _text(_rule_arn(rule)),
            "TARGET_ARN": _text(arn),
        }

    eventbridge._invoke_target = invoke_or_park
