"""A rule invokes its Lambda target asynchronously: retried by Lambda, then sent to the OnFailure destination.

ministack invokes it once and forgets a failure.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import json

from ministack.services import eventbridge, lambda_svc


def install() -> None:
    def dispatch(arn, payload):
        function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)
        if function is None:
            eventbridge.logger.warning("EventBridge: target %s does not exist", arn)
            return
        record = lambda_svc._execution_record_for_config(function, configuration)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch
