"""The Linux SCSI target framework (tgt), asked as an audit asks it."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import namespace, require
from tls_servers import within

from leadapron.identify.match import match
from leadapron.model import Depth, Endpoint, Owner, Verdict
from leadapron.net.dialer import Line, hold
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.iscsi.probe import PROTOCOL

pytestmark = pytest.mark.peer

HERE = Endpoint(address=ip_address("127.0.0.1"), port=3260)
TARGET = "iqn.2026-11.invalid:synthetic-canary-7731"


def test_a_target_talks_to_a_stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("ip", "ss", "tgtd", "tgtadm")
    monkeypatch.setenv("TGT_IPC_SOCKET", str(tmp_path / "control"))
    case = Case(
        endpoint=HERE, terms=Terms(depth=Depth.TALK, owner=Owner(grant="g"), calling_aet="LEADAPRON"), attempts={}
    )
    job = PROTOCOL.next_job(case, match)
    assert job is not None
    with (
        namespace() as inside,
        inside.serving(HERE.port, "tgtd", "-f", "--iscsi", f"portal={HERE}", log=tmp_path / "tgtd.log"),
    ):
        create = inside.run("tgtadm", "--lld", "iscsi", "--mode", "target", "--op", "new", "--tid", 1, "-T", TARGET)
        assert create.returncode == 0, create.stderr
        limits = job.limits
        attempt = within(inside, lambda: asyncio.run(hold(job.converse(), HERE, Line(limits), limits)))
        listed = inside.run("tgtadm", "--lld", "iscsi", "--mode", "conn", "--op", "show", "--tid", 1)
        inside.run("tgtadm", "--lld", "iscsi", "--mode", "target", "--op", "delete", "--tid", 1)  # else it does not end

    stored = PROTOCOL.encode_attempt(attempt)
    ((seen,), why) = PROTOCOL.conclude(Case(endpoint=HERE, terms=case.terms, attempts={"hello": stored}))
    assert why is None
    assert seen.access.talk is Verdict.PROVEN
    assert seen.facts == {"status_class": 0, "status_detail": 0, "login_demanded": False}
    assert "canary" not in f"{stored} {seen}"
    assert listed.stdout.strip() == "", "no session is left behind"
