"""A function that fails behind an HTTP API answers 500 `Internal Server Error`.

ministack answers 502 with the function's error, which AWS never shows to a caller.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
"""

import json

from ministack.services import lambda_svc


def install() -> None:
    answer = lambda_svc.lambda_execute_result_to_api_proxy_response

    def answer_as_http_api(result):
        response, log = answer(result)
        if result.get("error") and not result.get("throttle"):
            response = {
                "statusCode": 500,
                "headers": {"Content-Type": "application/json"},
                "body": json.dumps({"message": "Internal Server Error"}),
            }
        return response, log

    lambda_svc.lambda_execute_result_to_api_proxy_response = answer_as_http_api
