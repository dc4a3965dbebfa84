"""A process of ours that works for another of ours: given its order over a pipe, and told by its end that it is over."""

from __future__ import annotations

import signal
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection


class Child:
    """From the side that gives the order. `module` is run, and given the file descriptor of its side of the `pipe`."""

    def __init__(self, module: str) -> None:
        self.pipe, theirs = Pipe()
        # -P: nothing is imported from the working folder
        self.process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-P", "-m", module, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()

    def close(self, grace: float) -> None:
        """It ends by itself now that nobody listens, within `grace` seconds; else it is killed."""
        self.pipe.close()
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def begin_as_child(fd: int) -> Connection:
    """`fd`: this side of the pipe. Signals are not heard: whoever pressed ^C says to the other side when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return Connection(fd)
