"""What a function's answer says about the records of its batch, read as Lambda reads it."""

import json


class Malformed(Exception):
    """The answer is not a batch response, so the whole batch counts as failed."""


def reports_item_failures(mapping: dict) -> bool:
    return "ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or [])


def failed_identifiers(answer, known: set[str]) -> set[str]:
    """The identifiers of the failed records; empty means that all succeeded.

    Success and failure conditions:
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    if isinstance(answer, str) and answer:
        try:
            answer = json.loads(answer)
        except ValueError as error:
            raise Malformed("the answer is not JSON") from error
    if not answer:
        return set()
    if not isinstance(answer, dict):
        raise Malformed("the answer is not an object")
    failures = answer.get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        raise Malformed("batchItemFailures is not a list")
    identifiers = set()
    for failure in failures:
        identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
        if not isinstance(identifier, str) or identifier not in known:
            raise Malformed(f"unknown itemIdentifier {identifier!r}")
        identifiers.add(identifier)
    return identifiers
