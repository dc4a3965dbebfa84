"""The process of a sweep, begun where somebody else may write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scope_file import write_scope


def test_it_imports_nothing_from_the_working_folder(tmp_path: Path) -> None:
    """`python -m` would look there first, and a survey runs with the right to send raw packets."""
    folder, marker = tmp_path / "shared", tmp_path / "marker"
    folder.mkdir()
    for name in ("leadapron", "queue", "numpy"):
        (folder / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    scope = write_scope(
        tmp_path / "scope.toml", networks=["127.88.7.0/29"], ports=[1], extra="[sweep]\nprocesses = 2\n"
    )
    command = [
        sys.executable,
        "-P",
        "-m",
        "leadapron",
        "audit",
        str(scope),
        "--store",
        f"sqlite:///{tmp_path / 's.db'}",
    ]

    environment = os.environ | {"LEADAPRON_DATA": str(tmp_path / "data")}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert not marker.exists()
