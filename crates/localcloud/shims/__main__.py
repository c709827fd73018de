"""Starts ministack with all shims: `python -m shims`, configured by environment variables only."""

import importlib

# Order matters once: `latency` must precede the first socket server, `edge` wraps what all others have patched.
SHIMS = (
    "latency",
    "logging_config",
    "sqs_batch_response",
    "stream_mapping",
    "rule_target_lambda",
    "rule_target_dead_letter",
    "template_table_settings",
    "template_event_schemas",
    "template_archive",
    "template_event_bus_policy",
    "template_observability",
    "template_reserved_concurrency",
    "template_http_api_routes",
    "http_api_errors",
    "http_api_throttling",
    "edge",
)

if __name__ == "__main__":
    # First, so that nothing survives the process that started us, however early that one ends.
    importlib.import_module("shims.lifeline").install()
    for name in SHIMS:
        importlib.import_module(f"shims.{name}").install()
    importlib.import_module("ministack.app").main()
