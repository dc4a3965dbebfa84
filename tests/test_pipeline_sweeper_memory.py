"""What a process that sweeps says of itself."""

from __future__ import annotations

import subprocess
import sys

LARGE = 300 << 20

PARENT = f"""
import subprocess, sys
held = bytearray(b"x") * {LARGE}
child = "from leadapron.pipeline_sweeper import most_memory; print(most_memory())"
print(subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, text=True).stdout)
"""


def test_the_memory_of_the_process_that_began_it_is_not_its_own() -> None:
    said = subprocess.run([sys.executable, "-c", PARENT], check=True, capture_output=True, text=True, timeout=60).stdout
    assert 10 << 20 < int(said) < LARGE
