"""rsync daemons that mean harm: each ends within its time and bytes, is a result, and says nothing of what it was told."""

from __future__ import annotations

import json
import struct
import time
from typing import Any

import pytest
from file_doors import asked, terms
from rsync_peer import SEED, RsyncPeer, endless, of
from test_rsync_flist import DIRECTORY, REGULAR, Item, encode, frames

from leadapron.model import Failed, Observation, Reason, Verdict
from leadapron.protocols.rsync.probe import PROTOCOL
from listening import listening

CANARY = b"SYNTHETIC^BIRGIT"
IDLE = 0.4
ITEMS: list[Item] = [(b".", 0, DIRECTORY), (b"a.dcm", 140, REGULAR), (b"d", 0, DIRECTORY), (b"d/" + CANARY, 1, REGULAR)]


def audit(peer: RsyncPeer, **of_terms: Any) -> tuple[dict[str, Observation], Failed | None]:
    begun = time.monotonic()
    with listening(peer.serve) as (endpoint,):
        seen, failed, attempts = asked(PROTOCOL, endpoint, terms(**{"seconds": 10, **of_terms}), idle=IDLE)
    assert time.monotonic() - begun < 20
    assert "BIRGIT" not in json.dumps(attempts) + repr(seen) + repr(failed)
    return seen, failed


def listed(*pieces: bytes, **of_terms: Any) -> Observation:
    seen, failed = audit(RsyncPeer(listing=of(SEED, *pieces)), **of_terms)
    assert failed is None
    return seen["public"]


def reasons(observation: Observation) -> set[Reason]:
    return {each.reason for each in observation.unknowns}


def test_one_that_is_well() -> None:
    peer = RsyncPeer(listing=of(SEED + frames(encode(ITEMS))))
    seen, failed = audit(peer)
    assert failed is None
    assert seen["public"].access.list is Verdict.PROVEN
    assert seen["public"].access.read is not Verdict.PROVEN
    assert seen["public"].access.write is Verdict.NOT_ASKED
    assert seen["public"].facts["files.files"] == 2
    assert peer.asked == [b"#list", b"#list", b"public", b"--server", b"--sender", b"-r", b".", b"public/", b""]


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"", Reason.TIMEOUT),
        (b"220 " + CANARY + b"\n", Reason.PROTOCOL),
        (b"x" * 100_000, Reason.LIMIT),
        (b"@RSYNCD: 31.0 " + CANARY + b"\n", Reason.PROTOCOL),
    ],
)
def test_greetings_that_are_none(greeting: bytes, reason: Reason) -> None:
    seen, failed = audit(RsyncPeer(greeting=greeting))
    assert not seen
    assert failed is not None
    assert failed.reason is reason


@pytest.mark.parametrize(
    ("modules", "verdict"),
    [
        (of(b"@ERROR: access denied, " + CANARY + b"\n"), Verdict.REFUSED),
        (of(b"@ERROR: " + CANARY + b"\n"), Verdict.UNKNOWN),
        (of(b"public\t\n"), Verdict.UNKNOWN),
        (endless(b"motd of " + CANARY + b"\n"), Verdict.UNKNOWN),
        (endless(b"x" * 4096), Verdict.UNKNOWN),
    ],
)
def test_lists_of_modules_that_are_none(modules: Any, verdict: Verdict) -> None:
    seen, failed = audit(RsyncPeer(modules=modules))
    assert failed is None
    assert set(seen) == {""}
    assert seen[""].access.list is verdict
    assert bool(seen[""].unknowns) is (verdict is Verdict.UNKNOWN)


@pytest.mark.parametrize(
    ("answer", "verdict", "reason"),
    [
        (b"@RSYNCD: AUTHREQD abc\n", Verdict.REFUSED, None),
        (b"motd\n@ERROR: access denied to " + CANARY + b"\n", Verdict.REFUSED, None),
        (b"@ERROR: max connections (2) reached\n", Verdict.UNKNOWN, Reason.LIMIT),
        (b"@ERROR: chdir failed\n", Verdict.UNKNOWN, Reason.PROTOCOL),
        (b"@RSYNCD: EXIT\n", Verdict.UNKNOWN, Reason.PROTOCOL),
        (b"", Verdict.UNKNOWN, Reason.RESET),
        (CANARY * 1000, Verdict.UNKNOWN, Reason.LIMIT),
    ],
)
def test_only_a_no_is_a_refusal(answer: bytes, verdict: Verdict, reason: Reason | None) -> None:
    seen, _ = audit(RsyncPeer(answers={b"public": answer}))
    assert seen["public"].access.list is verdict
    assert reasons(seen["public"]) == ({reason} if reason else set())


def test_a_line_of_the_day_that_looks_like_a_module_is_none() -> None:
    modules = of(b"open on\tmonday\n", b"public\t\n", b"@RSYNCD: EXIT\n")
    peer = RsyncPeer(modules=modules, answers={b"open on": b"@ERROR: Unknown module 'open on'\n"})
    seen, _ = audit(peer)
    assert set(seen) == {"", "public"}


def test_a_list_that_stops_keeps_what_came() -> None:
    raw = encode(ITEMS)
    observation = listed(frames(raw[:-6]))
    assert observation.access.list is Verdict.PROVEN
    assert Reason.TIMEOUT in reasons(observation)
    assert observation.facts["files.files"] >= 1


def test_a_list_that_breaks_keeps_what_came() -> None:
    broken = encode(ITEMS)[:-5] + b"\x40" + struct.pack("<i", -1) + b"\0" * 8
    observation = listed(frames(broken))
    assert observation.access.list is Verdict.PROVEN
    assert Reason.LIMIT in reasons(observation)


def test_an_endless_list_ends_at_the_budget() -> None:
    entry = encode([(b"x", 1, REGULAR)])[:-5]
    seen, _ = audit(RsyncPeer(listing=endless(SEED + frames(entry * 100))), answers=500)
    assert seen["public"].unknowns
    again, _ = audit(RsyncPeer(listing=endless(frames(entry * 1000, 100_000))), answers=500)
    assert again["public"].unknowns


def test_an_empty_module_that_could_not_be_read_is_closed() -> None:
    denied = frames(b'rsync: opendir "/" (in public) failed: Permission denied (13)\n', tag=1)
    observation = listed(denied + frames(encode([(b".", 0, DIRECTORY)], error=1)))
    assert observation.access.list is Verdict.REFUSED


def test_an_empty_module_that_could_not_be_read_otherwise_is_unknown() -> None:
    observation = listed(frames(encode([(b".", 0, DIRECTORY)], error=1)))
    assert observation.access.list is Verdict.UNKNOWN
    assert Reason.TRUNCATED in reasons(observation)


def test_bytes_that_are_no_frames() -> None:
    observation = listed(b"@ERROR: the server refuses, " + CANARY + b"\n")
    assert observation.access.list is Verdict.UNKNOWN
    assert observation.unknowns
