"""Not a gap but a duty: nothing may outlive the process that started the local cloud.

Standard input is the lifeline. While its owner lives, the pipe stays open; when the owner ends, however it ends
(SIGKILL included), the pipe closes and the whole process group goes: the emulator and its function workers. A line
saying `detach` lets go, which is how `cargo xtask up` leaves a cloud running.
"""

import os
import signal
import sys
import threading


def _watch() -> None:
    for line in sys.stdin:
        if line.strip() == "detach":
            return
    os.killpg(os.getpgrp(), signal.SIGKILL)


def install() -> None:
    if os.environ.get("LOCALCLOUD_LIFELINE") == "stdin" and os.getpgrp() == os.getpid():
        threading.Thread(target=_watch, name="lifeline", daemon=True).start()
