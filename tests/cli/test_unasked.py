"""What Python and libraries say of their own accord is said without what it holds."""

from __future__ import annotations

import subprocess
import sys

import pytest

VALUE = "DOE^JANE"

SAYING = {
    "a warning": "warnings.warn(VALUE)",
    "a log line": "logging.getLogger('asyncio').error(VALUE, exc_info=ValueError(VALUE), stack_info=True)",
    "a log line of whoever calls himself so": "logging.getLogger(VALUE).warning('%s', VALUE)",
    "a log line that cannot be formatted": "logging.getLogger('pydicom').error('%d', VALUE)",
    "a thread": "thread = threading.Thread(target=fail, name=VALUE); thread.start(); thread.join()",
    "what cannot be raised": "Held().value = VALUE",
    "what nobody caught": "fail()",
    "a task that nobody waited for": "asyncio.run(forgotten())",
}
PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
from leadapron.cli.unasked import log_without_values, say_no_values

VALUE = sys.argv[1]

class Held:
    def __del__(self):
        raise ValueError(self.value)

def fail():
    raise ValueError(VALUE)

async def failing():
    raise ValueError(VALUE)

async def forgotten():
    task = asyncio.create_task(failing(), name=VALUE)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

if sys.argv[2] != "as it comes":
    say_no_values()
    log_without_values(getattr(logging, sys.argv[2]))
"""


def said(what: str, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", PROGRAM + SAYING[what], VALUE, how],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("what", SAYING)
def test_no_value_is_said(what: str) -> None:
    assert VALUE in said(what, "as it comes"), "else there is nothing to hold back"
    assert VALUE not in said(what, "WARNING")
    traced = said(what, "DEBUG")
    assert VALUE not in traced
    assert "<string>:" in traced or "base_events.py" in traced or "ValueError" in traced


def test_our_own_lines_are_said_whole() -> None:
    program = PROGRAM + "logging.getLogger('leadapron.net').error('bug in job %s', 'hello')"
    done = subprocess.run(
        [sys.executable, "-c", program, VALUE, "WARNING"], check=False, capture_output=True, text=True, timeout=30
    )
    assert done.stderr.endswith("Z ERROR leadapron.net: bug in job hello\n")
