"""An invocation costs what the function costs.

On AWS the platform adds single-digit milliseconds to a warm invocation. ministack adds 90 to each: its runtime API
answers in two small writes, which Nagle's algorithm holds back for the peer's delayed acknowledgement (41 ms), and
it waits 50 ms for log lines of a function that logged nothing.
"""

import socketserver

from ministack.core import lambda_runtime

# A log line that comes later is not lost: it is reported with the next invocation.
FIRST_LOG_LINE_SECONDS = 0.003
LOG_SILENCE_SECONDS = 0.002


def install() -> None:
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True

    drain = lambda_runtime.Worker._drain_stderr_bounded

    def drain_soon(self, first_line_wait=FIRST_LOG_LINE_SECONDS, idle_confirm=LOG_SILENCE_SECONDS, hard_cap=0.25):
        return drain(self, first_line_wait, idle_confirm, hard_cap)

    lambda_runtime.Worker._drain_stderr_bounded = drain_soon
