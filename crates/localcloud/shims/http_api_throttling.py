"""An HTTP API takes no more requests than the settings of its stage say; what is too much gets 429 `Too Many Requests`.

ministack keeps the settings and ignores them. Each route has a bucket of ThrottlingBurstLimit tokens that fills up with
ThrottlingRateLimit tokens a second, and a request takes one.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html
"""

import json
import time

from ministack.services import apigateway

_MESSAGE = json.dumps({"message": "Too Many Requests"}).encode()
_buckets: dict[tuple, tuple[float, float]] = {}


def _limit(settings: dict, name: str) -> float:
    return float(settings.get(f"Throttling{name}Limit") or settings.get(f"throttling{name}Limit") or 0)


def _takes(api_id: str, stage: str, route_key: str) -> bool:
    """Whether there is a token for one more request of this route, which it then has."""
    settings = apigateway._stages.get(api_id, {}).get(stage, {})
    settings = (settings.get("routeSettings") or {}).get(route_key) or settings.get("defaultRouteSettings") or {}
    burst, rate = _limit(settings, "Burst"), _limit(settings, "Rate")
    if not burst or not rate:
        return True
    bucket, now = (api_id, stage, route_key), time.monotonic()
    tokens, filled = _buckets.get(bucket, (burst, now))
    tokens = min(burst, tokens + (now - filled) * rate)
    _buckets[bucket] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
    return tokens >= 1


def install() -> None:
    execute = apigateway._handle_execute_in_scope

    async def throttled(api_id, stage, path, method, *rest):
        route = apigateway._match_route(api_id, method, "/" + path.lstrip("/"))
        if route and not _takes(api_id, stage, route.get("routeKey", "")):
            return 429, {"Content-Type": "application/json"}, _MESSAGE
        return await execute(api_id, stage, path, method, *rest)

    apigateway._handle_execute_in_scope = throttled
