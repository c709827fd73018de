"""A malformed batch response fails the whole SQS batch.

AWS treats an answer with a missing, empty or unknown itemIdentifier as a failure of all messages; ministack treats
it as success and deletes them.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
"""

import contextvars

from ministack.services import lambda_svc

from shims.batch_response import Malformed, failed_identifiers, reports_item_failures

# The message ids of the batch that this thread is delivering, if its mapping reports item failures.
_delivering: contextvars.ContextVar[set[str] | None] = contextvars.ContextVar("delivering", default=None)


def install() -> None:
    run_batch = lambda_svc._run_sqs_batch
    execute = lambda_svc._execute_function

    def run_batch_checked(mapping, function, event, batch, *rest):
        known = {message["id"] for message in batch} if reports_item_failures(mapping) else None
        token = _delivering.set(known)
        try:
            return run_batch(mapping, function, event, batch, *rest)
        finally:
            _delivering.reset(token)

    def execute_checked(function, event, *rest, **options):
        known = _delivering.get()
        # Only the delivery itself is judged, not what it may call in turn.
        token = _delivering.set(None)
        try:
            result = execute(function, event, *rest, **options)
        finally:
            _delivering.reset(token)
        if known is None or result.get("error"):
            return result
        try:
            failed_identifiers(result.get("body"), known)
        except Malformed as reason:
            return {**result, "error": True, "body": {"errorType": "MalformedBatchResponse", "errorMessage": str(reason)}}
        return result

    lambda_svc._run_sqs_batch = run_batch_checked
    lambda_svc._execute_function = execute_checked
