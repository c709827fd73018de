"""A function of the custom runtime learns how it is to log.

On AWS `LoggingConfig` reaches the function as AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL; ministack drops it.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
"""

from ministack.services import lambda_svc


def install() -> None:
    worker_env = lambda_svc._provided_worker_env

    def with_logging(config: dict, code_dir: str, port: int) -> dict:
        env = worker_env(config, code_dir, port)
        logging = config.get("LoggingConfig") or {}
        env["AWS_LAMBDA_LOG_FORMAT"] = logging.get("LogFormat", "Text")
        if "ApplicationLogLevel" in logging:
            env["AWS_LAMBDA_LOG_LEVEL"] = logging["ApplicationLogLevel"]
        return env

    lambda_svc._provided_worker_env = with_logging
