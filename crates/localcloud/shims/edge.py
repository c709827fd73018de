"""What stands in front of the emulator: faults on demand, its identity, and a caller for unsigned requests.

Faults: real services throttle, conflict and lose responses; ministack never does. `POST /_localcloud/faults` takes a
list of them, `DELETE` forgets them all, and both answer with what is still to come:

    {"target": "DynamoDB_20120810.TransactWriteItems",   regular expression on X-Amz-Target, or on "METHOD /path"
     "match": "Outbox",                                  regular expression on the request's body
     "times": 2,                                         how often it strikes
     "delay": 0.1,                                       seconds before anything else happens
     "status": 400, "type": "ThrottlingException", "body": {…},
     "after": true}                                      the call takes effect first: only its response is lost

Identity: `GET /_localcloud/instance` answers the token the instance was started with, so that a port taken over by
another program is noticed.

Callers: on AWS, API Gateway hands the function of an AWS_IAM route the identity of the request's signer. Here a
request to an API may be unsigned; it then comes from the local cloud's own principal.
"""

import asyncio
import json
import os
import re

from ministack import app as emulator

_faults: list[dict] = []
_forward = emulator.app
_LOCAL_CALLER = (b"authorization", b"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/execute-api/aws4_request")


async def _read(receive) -> tuple[list[dict], bytes]:
    messages, body = [], b""
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            return messages, body


async def _answer(send, status: int, document, headers=()) -> None:
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json"), *headers],
    })
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})


async def _own_endpoint(scope, receive, send) -> None:
    if scope["path"] == "/_localcloud/instance":
        return await _answer(send, 200, {"instance": os.environ.get("LOCALCLOUD_INSTANCE", "")})
    if scope["path"] != "/_localcloud/faults":
        return await _answer(send, 404, {"message": "no such endpoint"})
    _, body = await _read(receive)
    if scope["method"] == "DELETE":
        _faults.clear()
    elif body:
        _faults.extend(json.loads(body))
    return await _answer(send, 200, _faults)


def _strike(target: str, body: bytes) -> dict | None:
    """The first fault that applies to this call, one use of it spent."""
    text = body.decode("utf-8", "replace")
    for fault in _faults:
        if re.search(fault["target"], target) and re.search(fault.get("match", ""), text):
            fault["times"] = fault.get("times", 1) - 1
            if fault["times"] <= 0:
                _faults.remove(fault)
            return fault
    return None


async def _with_faults(scope, receive, send) -> None:
    headers = dict(scope["headers"])
    target = headers.get(b"x-amz-target", b"").decode() or f"{scope['method']} {scope['path']}"
    messages, body = await _read(receive)
    fault = _strike(target, body)

    async def replay():
        return messages.pop(0) if messages else await receive()

    async def lose(_message):
        pass

    if fault is None:
        return await _forward(scope, replay, send)
    await asyncio.sleep(fault.get("delay", 0))
    if "status" not in fault:
        return await _forward(scope, replay, send)
    if fault.get("after"):
        await _forward(scope, replay, lose)
    kind = fault.get("type", "InternalServerError")
    document = {"__type": kind, "message": "injected by the local cloud", **fault.get("body", {})}
    return await _answer(send, fault["status"], document, [(b"x-amzn-errortype", kind.encode())])


async def _edge(scope, receive, send):
    if scope["type"] != "http":
        return await _forward(scope, receive, send)
    if scope["path"].startswith("/_localcloud/"):
        return await _own_endpoint(scope, receive, send)
    if scope["path"].startswith("/_aws/execute-api/") and not any(k == b"authorization" for k, _ in scope["headers"]):
        scope = {**scope, "headers": [*scope["headers"], _LOCAL_CALLER]}
    if _faults:
        return await _with_faults(scope, receive, send)
    return await _forward(scope, receive, send)


def install() -> None:
    emulator.app = _edge
