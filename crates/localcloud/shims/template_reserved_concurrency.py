"""A function's reserved concurrency takes effect when it comes from a template.

ministack drops it silently.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html
"""

from ministack.services import lambda_svc

from shims.template_handlers import after, check


def _apply(function: str, properties: dict) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is None:
        lambda_svc._delete_function_concurrency(function)
    else:
        check(lambda_svc._put_function_concurrency(function, {"ReservedConcurrentExecutions": int(reserved)}))


def install() -> None:
    after("AWS::Lambda::Function", _apply)
