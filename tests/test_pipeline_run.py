"""Opening a run, and opening it again."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

import pytest

from audits import Silent
from leadapron import pipeline_run
from leadapron.model import Address, Reason, Run, Stage, Unknown
from leadapron.pipeline import Audit
from leadapron.pipeline_control import Options
from scope_file import write_scope

Answer = tuple[dict[str, tuple[Address, ...]], tuple[Unknown, ...]]


def test_names_keep_their_addresses_when_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the permutation would be one of other targets, and what was never asked would count as done."""
    lost = Unknown(endpoint="gone.hospital.example", stage=Stage.CONNECT, reason=Reason.TIMEOUT)
    answers: list[Answer] = [
        ({"pacs.hospital.example": (ip_address("127.0.0.9"), ip_address("::1"))}, (lost,)),
        (
            {
                "pacs.hospital.example": (ip_address("127.0.0.10"),),
                "gone.hospital.example": (ip_address("127.0.0.11"),),
            },
            (),
        ),
    ]
    asked: list[list[str]] = []

    def resolve(names: Iterable[str]) -> Answer:
        asked.append(sorted(names))
        return answers[len(asked) - 1]

    seen: list[tuple[object, object]] = []

    def execute(audit: Audit) -> Run:
        seen.append((dict(audit.gate.pins), list(audit.unresolved)))
        return audit.run_

    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pipeline_run, "resolve", resolve)
    monkeypatch.setattr(Audit, "execute", execute)
    scope = write_scope(tmp_path / "scope.toml", networks=["127.0.0.8/32"], ports=[104])
    scope.write_text(
        scope.read_text().replace(
            "called_aets = []", 'called_aets = []\nnames = ["pacs.hospital.example", "gone.hospital.example"]'
        )
    )

    for resume in (False, True):
        pipeline_run.audit_scope(
            scope, url=f"sqlite:///{tmp_path / 's.db'}", resume=resume, options=Options(), progress=Silent()
        )

    assert asked == [["gone.hospital.example", "pacs.hospital.example"]]
    assert seen[0] == seen[1] == ({"pacs.hospital.example": (ip_address("127.0.0.9"), ip_address("::1"))}, [lost])
