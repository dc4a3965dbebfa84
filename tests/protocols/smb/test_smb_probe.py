"""What is asked next, and what the answers mean: the table of docs/smb.md, row by row."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from smb_server import (
    ACCESS_DENIED,
    Answer,
    Asked,
    Said,
    Server,
    connected,
    drive,
    entries,
    entry,
    negotiated,
    setup,
    utf16,
)

from leadapron.model import Depth, Endpoint, Failed, Observation, Owner, Product, Reason, Stage, Verdict
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.smb.jobs import WalkShare, host_of
from leadapron.protocols.smb.probe import PROTOCOL
from leadapron.protocols.smb.results import LoggedIn
from leadapron.protocols.smb.verdicts import product_of
from leadapron.protocols.smb.wire.frame import framed
from leadapron.protocols.smb.wire.header import Command, Status

HERE = Endpoint(address=ip_address("192.0.2.1"), port=445)
CANARY = "DOE^JANE 1970"
SMB1_YES = framed(b"\xffSMB\x72" + bytes(4) + b"\x98" + bytes(22) + b"\x11" + bytes(60))
SMB1_NO = framed(b"\xffSMB\x72" + bytes(4) + b"\x98" + bytes(22) + b"\x01\xff\xff" + bytes(60))


def identify(*_: object, **__: object) -> Product:
    raise AssertionError("no banner is matched")


def terms(depth: Depth = Depth.COUNT, *, blank: bool = True, **budget: Any) -> Terms:
    return Terms(depth=depth, owner=Owner(grant="g"), calling_aet="LEADAPRON", blank_login=blank, **budget)


class Audit:
    """The jobs against one scripted server; a new one for each connection, as a server would be."""

    def __init__(self, make: Callable[[], Server], of: Terms, smb1: bytes = SMB1_NO, piece: int = 1 << 18) -> None:
        self.names: list[str] = []
        self.commands: list[int] = []
        attempts: dict[str, Any] = {}
        while (job := PROTOCOL.next_job(Case(endpoint=HERE, terms=of, attempts=attempts), identify)) is not None:
            assert pickle.loads(pickle.dumps(job)) == job
            server = make()
            answer = (lambda _: smb1) if job.name == "smb1" else server.answer
            attempt = drive(job.converse(), answer, piece)
            attempts[job.name] = json.loads(json.dumps(PROTOCOL.encode_attempt(attempt)))
            self.names.append(job.name)
            self.commands += [each.command for each in server.log]
            assert len(self.names) < 100
        self.stored = json.dumps(attempts)
        self.seen, self.why = PROTOCOL.conclude(Case(endpoint=HERE, terms=of, attempts=attempts))

    def of(self, resource: str = "") -> Observation:
        (found,) = [each for each in self.seen if each.service.resource == resource]
        return found


def server(over: dict[Command, Answer] | None = None, **options: Any) -> Callable[[], Server]:
    return lambda: Server(over=over or {}, **options)


def by_share(**answers: Said) -> Answer:
    """TREE_CONNECT by the name of the share."""

    def answer(asked: Asked) -> Said:
        for name, said in answers.items():
            if asked.body.endswith(utf16("\\" + name)):
                return said
        return connected()

    return answer


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_without_leave_nobody_logs_in() -> None:
    for of in (terms(blank=False), terms(Depth.TALK)):
        audit = Audit(server(), of)
        assert audit.names == ["hello", "smb1"]
        assert set(audit.commands) == {Command.NEGOTIATE}
        found = audit.of()
        assert (found.access.talk, found.access.list, found.access.read) == (
            Verdict.PROVEN,
            Verdict.NOT_ASKED,
            Verdict.NOT_ASKED,
        )
        assert found.facts == {
            "smb1": False,
            "smb_version": 302,
            "signing_enabled": True,
            "signing_required": False,
            "encryption_offered": True,
        }
        assert found.unknowns == ()


@pytest.mark.parametrize("piece", [3, 1 << 18])
def test_an_open_share_is_walked(piece: int) -> None:
    audit = Audit(server(), terms(), piece=piece)
    assert audit.names == ["hello", "smb1", "blank", "tree:public", "health"]
    share = audit.of("public")
    assert (share.access.list, share.access.read) == (Verdict.PROVEN, Verdict.PROVEN)
    assert share.exposed
    assert not audit.of().exposed
    assert (
        audit.of().facts.items()
        >= {
            "blank_login_accepted": True,
            "null_session": True,
            "guest_session": False,
            "shares": 1,
            "shares_open": 1,
            "shares_hidden": 0,
        }.items()
    )
    assert audit.of().product.name == "Samba"
    assert set(audit.commands) <= set(Command)


def test_the_budget_of_connections_leaves_an_unknown() -> None:
    named = [("public", 0), ("private", 0), ("dicom", 0)]
    audit = Audit(server(named=named), terms(associations=4))
    assert audit.names == ["hello", "smb1", "blank", "tree:public", "health"]
    assert audit.of("private").access.list is Verdict.UNKNOWN
    assert audit.of("private").unknowns == (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
    short = Audit(server(), terms(associations=2))
    assert short.of().access.list is Verdict.UNKNOWN
    assert short.of().unknowns == (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)


def test_shares_beyond_the_bound_are_told() -> None:
    audit = Audit(server(named=[(f"x{number}", 0) for number in range(80)]), terms(associations=3))
    facts = audit.of().facts
    assert facts["shares"] == 80
    assert facts["shares_left_out"] == 80 - len(audit.seen) + 1 > 0
    assert Reason.LIMIT in {each.reason for each in audit.of().unknowns}


def test_how_a_server_is_named_to_itself() -> None:
    assert host_of(HERE) == "192.0.2.1"
    assert host_of(Endpoint(address=ip_address("2001:db8::1"), port=445)) == "2001-db8--1.ipv6-literal.net"


# -- what the answers mean ---------------------------------------------------------------------------------------------


def test_a_share_that_does_not_let_us_in_costs_no_connection() -> None:
    over: dict[Command, Answer] = {Command.TREE_CONNECT: by_share(private=Said(ACCESS_DENIED))}
    audit = Audit(server(over, named=[("public", 0), ("private", 0)]), terms())
    assert audit.names == ["hello", "smb1", "blank", "tree:public", "health"]
    assert audit.of("private").access.list is Verdict.REFUSED
    assert audit.of("private").access.write is Verdict.REFUSED
    assert audit.of("private").unknowns == ()
    assert audit.of("public").access.list is Verdict.PROVEN


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [
        (0xC00000CC, Verdict.UNKNOWN, Reason.EMPTY),
        (0xC00000D0, Verdict.UNKNOWN, Reason.LIMIT),
        (0xC0001234, Verdict.UNKNOWN, Reason.PROTOCOL),
    ],
)
def test_a_share_that_fails_otherwise_is_unknown(status: int, verdict: Verdict, reason: Reason) -> None:
    audit = Audit(server({Command.TREE_CONNECT: by_share(public=Said(status))}), terms())
    found = audit.of("public")
    assert found.access.list is verdict
    assert found.unknowns == (Failed(stage=Stage.LIST, reason=reason),)


@pytest.mark.parametrize(("access", "write"), [(0x1F01FF, Verdict.OFFERED), (0x1200A9, Verdict.REFUSED)])
def test_writing_is_offered_by_the_maximal_access_and_never_tried(access: int, write: Verdict) -> None:
    audit = Audit(server({Command.TREE_CONNECT: lambda _: connected(access=access)}), terms())
    assert audit.of("public").access.write is write


def test_a_refused_login() -> None:
    audit = Audit(server({Command.SESSION_SETUP: lambda _: setup(0xC000006D)}), terms())
    assert audit.names == ["hello", "smb1", "blank", "health"]
    found = audit.of()
    assert found.access.list is Verdict.REFUSED
    assert found.facts["blank_login_accepted"] is False
    assert len(audit.seen) == 1


def test_a_session_that_may_do_nothing_is_no_login() -> None:
    audit = Audit(server({Command.TREE_CONNECT: lambda _: Said(ACCESS_DENIED)}), terms())
    found = audit.of()
    assert found.access.list is Verdict.REFUSED
    assert (found.facts["session_accepted"], found.facts["blank_login_accepted"]) == (True, False)


@pytest.mark.parametrize("command", [Command.TREE_CONNECT, Command.CREATE, Command.IOCTL])
def test_a_list_that_fails_is_unknown_and_no_login(command: Command) -> None:
    audit = Audit(server({command: lambda _: Said(0xC000009A)}), terms())
    found = audit.of()
    assert found.access.list is Verdict.UNKNOWN
    assert found.unknowns == (Failed(stage=Stage.LIST, reason=Reason.LIMIT),)
    assert "blank_login_accepted" not in found.facts


def test_no_share_is_not_nothing() -> None:
    audit = Audit(server(named=[("IPC$", 0x80000003), ("C$", 0x80000000)]), terms())
    found = audit.of()
    assert found.access.list is Verdict.UNKNOWN
    assert found.unknowns == (Failed(stage=Stage.LIST, reason=Reason.EMPTY),)
    assert found.facts["shares_hidden"] == 1


def test_a_connection_that_ends_among_the_shares_forgets_none() -> None:
    def silent(asked: Asked) -> Said:
        return Said(raw=b"") if asked.body.endswith(utf16("\\private")) else connected()

    named = [("dicom", 0), ("private", 0), ("public", 0)]
    audit = Audit(server({Command.TREE_CONNECT: silent}, named=named), terms(associations=3))
    assert {each.service.resource: each.unknowns[0].reason for each in audit.seen} == {
        "": Reason.TIMEOUT,
        "dicom": Reason.BUDGET,
        "private": Reason.TIMEOUT,
        "public": Reason.TIMEOUT,
    }


def test_a_share_that_is_gone_at_the_second_look() -> None:
    rest = [[("public", 0)], [("other", 0)]]

    def make() -> Server:
        made.append(1)
        return Server(named=rest[0] if len(made) <= 3 else rest[1])

    made: list[int] = []
    audit = Audit(make, terms())
    assert audit.of("public").unknowns == (Failed(stage=Stage.LIST, reason=Reason.EMPTY),)


def test_a_root_that_is_closed() -> None:
    def opened(asked: Asked) -> Said:
        is_pipe = utf16("srvsvc") in asked.body
        return Server()._say(asked) if is_pipe else Said(ACCESS_DENIED)

    audit = Audit(server({Command.CREATE: opened}), terms())
    assert audit.of("public").access.list in (Verdict.REFUSED, Verdict.UNKNOWN)
    assert not audit.of("public").exposed


# -- SMB 1 -------------------------------------------------------------------------------------------------------------


def test_smb1_beside_smb2() -> None:
    assert Audit(server(), terms(blank=False), SMB1_YES).of().facts["smb1"] is True


def test_a_server_of_smb1_only_is_seen() -> None:
    silent = server({Command.NEGOTIATE: lambda _: Said(raw=b"")})
    audit = Audit(silent, terms(), SMB1_YES)
    assert audit.names == ["hello", "smb1"]
    assert audit.of().facts == {"smb1": True}
    assert audit.of().access.list is Verdict.UNKNOWN
    assert audit.of().unknowns[0].reason is Reason.PROTOCOL


def test_no_answer_to_smb1_is_an_unknown() -> None:
    audit = Audit(server(), terms(blank=False), b"")
    assert "smb1" not in audit.of().facts
    assert audit.of().unknowns == (Failed(stage=Stage.HANDSHAKE, reason=Reason.TIMEOUT),)


@pytest.mark.parametrize(
    ("said", "reason"),
    [(b"", Reason.TIMEOUT), (b"SSH-2.0-x\r\n", Reason.PROTOCOL), (b"\0\xff\xff\xff", Reason.PROTOCOL)],
)
def test_what_never_becomes_a_server(said: bytes, reason: Reason) -> None:
    audit = Audit(server({Command.NEGOTIATE: lambda _: Said(raw=said)}), terms(), said)
    assert audit.seen == []
    assert audit.why == Failed(stage=Stage.HANDSHAKE, reason=reason)


# -- law 2 -------------------------------------------------------------------------------------------------------------


def test_no_name_of_a_share_a_file_or_a_comment_is_stored() -> None:
    def query(_: Asked) -> Said:
        rest.append(1)
        return entries(entry(f"{CANARY}.dcm"), entry(CANARY, 0x10)) if len(rest) == 1 else Said(Status.NO_MORE_FILES)

    rest: list[int] = []
    named = [(CANARY, 0), ("public", 0)]
    audit = Audit(server({Command.QUERY_DIRECTORY: query}, named=named), terms())
    assert len(audit.seen) == 3
    written = audit.stored + repr(audit.seen) + " ".join(audit.names)
    for secret in ("DOE", "JANE", "1970", "CANARY", "REMARK"):
        assert secret not in written


# -- products ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "name", "version"),
    [
        ((6, 1, 0), "Samba", ""),
        ((10, 0, 20348), "Windows", "10.0.20348"),
        ((6, 1, 7601), "Windows", "6.1.7601"),
        ((0, 0, 0), "", ""),
        ((10, 0, 0), "", ""),
    ],
)
def test_products(claimed: tuple[int, int, int], name: str, version: str) -> None:
    major, minor, build = claimed
    found = product_of(LoggedIn(accepted=True, major=major, minor=minor, build=build))
    assert (found.name, found.version) == (name, version)


def test_the_dialect_that_is_chosen_is_a_fact() -> None:
    audit = Audit(server({Command.NEGOTIATE: lambda _: negotiated(0x0202, security=3)}), terms(blank=False))
    assert audit.of().facts["smb_version"] == 202
    assert audit.of().facts["signing_required"] is True


@pytest.mark.parametrize(
    ("depth", "census", "expected"),
    [
        (Depth.COUNT, True, Depth.COUNT),
        (Depth.CENSUS, False, Depth.COUNT),
        (Depth.CENSUS, True, Depth.CENSUS),
    ],
)
def test_the_gate_is_asked_for_as_deep_as_a_walk_goes(depth: Depth, census: bool, expected: Depth) -> None:
    assert WalkShare(endpoint=HERE, shown="public", terms=terms(depth, census=census)).depth is expected
