"""A function that fails behind an HTTP API answers 500 `Internal Server Error`, one whose concurrency is spent 503
`Service Unavailable`.

ministack answers 502 with the function's error, and 429 with Lambda's, which AWS never shows to a caller. As on AWS, no header
says when to come again.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
"""

import json

from ministack.services import lambda_svc


def _message(status: int, message: str) -> dict:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps({"message": message}),
    }


def install() -> None:
    answer = lambda_svc.lambda_execute_result_to_api_proxy_response

    def answer_as_http_api(result):
        response, log = answer(result)
        if result.get("throttle"):
            response = _message(503, "Service Unavailable")
        elif result.get("error"):
            response = _message(500, "Internal Server Error")
        return response, log

    lambda_svc.lambda_execute_result_to_api_proxy_response = answer_as_http_api
