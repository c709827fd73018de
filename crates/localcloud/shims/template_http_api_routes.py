"""An HTTP API is built from the OpenAPI document in its `Body`.

That is how SAM deploys AWS::Serverless::HttpApi; ministack creates the API and ignores the document, so that no
route answers.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-open-api.html
"""

import re

from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

from shims.template_handlers import after

_FUNCTION = re.compile(r"/functions/(arn:[^/]+)/invocations")
_ANY_METHOD = "x-amazon-apigateway-any-method"
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", _ANY_METHOD}


def _route_key(path: str, method: str) -> str:
    if path == "/$default":
        return "$default"
    return f"{'ANY' if method == _ANY_METHOD else method.upper()} {path}"


def _demands_iam(document: dict, operation: dict) -> bool:
    demanded = {name for entry in operation.get("security") or [] for name in entry}
    schemes = (document.get("components") or {}).get("securitySchemes") or {}
    return any(
        name == "AWS_IAM" or (schemes.get(name) or {}).get("x-amazon-apigateway-authtype") == "awsSigv4"
        for name in demanded
    )


def _build(api_id: str, properties: dict) -> None:
    document = properties.get("Body") or {}
    if not document.get("paths"):
        return
    handlers = provisioners._RESOURCE_HANDLERS
    apigateway._routes[api_id] = {}
    apigateway._integrations[api_id] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method not in _METHODS:
                continue
            integration = operation.get("x-amazon-apigateway-integration") or {}
            uri = str(integration.get("uri", ""))
            function = _FUNCTION.search(uri)
            integration_id, _ = handlers["AWS::ApiGatewayV2::Integration"]["create"](
                "Integration",
                {
                    "ApiId": api_id,
                    "IntegrationType": "AWS_PROXY",
                    "IntegrationUri": function.group(1) if function else uri,
                    "PayloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
                },
                "",
            )
            handlers["AWS::ApiGatewayV2::Route"]["create"](
                "Route",
                {
                    "ApiId": api_id,
                    "RouteKey": _route_key(path, method),
                    "AuthorizationType": "AWS_IAM" if _demands_iam(document, operation) else "NONE",
                    "Target": f"integrations/{integration_id}",
                },
                "",
            )


def install() -> None:
    after("AWS::ApiGatewayV2::Api", _build)
