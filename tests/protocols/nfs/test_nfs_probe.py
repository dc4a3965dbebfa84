"""The rows of the verdict table of NFS: what is asked, and what the answers mean."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nfs_peer import Folder, Peer, archive, drive

from leadapron.identify.match import IDENTIFY
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.net.conversation import Lost
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.nfs.exchange import Channel
from leadapron.protocols.nfs.jobs import Hello, by_shown_name
from leadapron.protocols.nfs.probe import PROTOCOL
from leadapron.protocols.nfs.result import WHOLE
from leadapron.protocols.nfs.wire import mount, nfs3
from leadapron.protocols.nfs.wire.rpc import Call
from leadapron.protocols.nfs.wire.xdr import uint
from leadapron.scope.doors import doors

HERE = Endpoint(address=ip_address("127.0.0.1"), port=2049)
CANARY = b"SYNTHETIC-CANARY-7731"


def terms(**more: Any) -> Terms:
    return Terms(**{"depth": Depth.COUNT, "owner": Owner(grant="g"), "calling_aet": "LEADAPRON", **more})


def asked(
    peer: Peer, *, step: int = 1 << 20, **more: Any
) -> tuple[dict[str, Observation], dict[str, Any], Failed | None]:
    """Observations by resource, stored attempts, and why there are none."""
    attempts: dict[str, Any] = {}
    known = terms(**more)
    while (job := PROTOCOL.next_job(Case(endpoint=HERE, terms=known, attempts=attempts), IDENTIFY)) is not None:
        assert job.name not in attempts
        assert job.endpoint == HERE
        attempts[job.name] = json.loads(json.dumps(PROTOCOL.encode_attempt(drive(job.converse(), peer, step=step))))
    seen, why = PROTOCOL.conclude(Case(endpoint=HERE, terms=known, attempts=attempts))
    return {each.service.resource: each for each in seen}, attempts, why


def only_share(seen: dict[str, Observation]) -> Observation:
    (share,) = (each for name, each in seen.items() if name)
    return share


def test_its_door_is_where_it_is_looked_for() -> None:
    door = doors()["nfs"]
    assert (door.ports, door.kinds) == ((2049,), {"files"})


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_an_open_export_is_found_walked_and_unmounted(step: int) -> None:
    peer = Peer()
    seen, attempts, _ = asked(peer, step=step)
    assert seen[""].access.talk is Verdict.PROVEN
    assert seen[""].access.list is Verdict.NOT_ASKED
    assert seen[""].facts == {
        "version_3": True,
        "version_4": True,
        "mount_on_same_port": True,
        "exports": 1,
        "exports.everyone": 1,
        "exports.alike": 0,
        "root_open": True,
        "answers_afterwards": True,
    }
    share = only_share(seen)
    assert (share.service.resource, share.access.list) == ("public", Verdict.PROVEN)
    assert share.facts.items() >= {"groups": 0, "everyone": True, "mounted": True}.items()
    assert list(attempts) == ["hello", "exports", "tree:public", "health"]
    assert peer.unmounted == [b"/public"]


class Elsewhere(Peer):
    """MOUNT is on a port of its own."""

    def _dispatch(self, program: int, version: int, procedure: int, reader: Any) -> bytes:
        if program == 100005 and procedure == 0:
            return uint(1) + bytes(12) + uint(1)
        return super()._dispatch(program, version, procedure, reader)


def test_mount_on_a_port_of_its_own_is_found_through_the_portmapper() -> None:
    peer = Elsewhere()
    seen, _, _ = asked(peer)
    assert seen[""].facts.items() >= {"mount_on_same_port": False, "portmapper": True}.items()
    assert only_share(seen).access.list is Verdict.PROVEN
    assert peer.unmounted == [b"/public"]


def test_what_mount_does_not_show_version_4_may() -> None:
    seen, attempts, _ = asked(Elsewhere(has_portmapper=False))
    assert [(why.stage, why.reason) for why in seen[""].unknowns] == [(Stage.LIST, Reason.REFUSED)]
    assert (seen[""].access.list, seen[""].facts["portmapper"]) == (Verdict.UNKNOWN, False)
    assert "exports" not in seen[""].facts
    assert only_share(seen).service.resource == WHOLE
    assert only_share(seen).access.list is Verdict.PROVEN
    assert list(attempts) == ["hello", "exports", f"tree:{WHOLE}", "health"]


def test_a_server_of_version_3_without_its_portmapper_is_not_known() -> None:
    seen, _, _ = asked(Elsewhere(has_portmapper=False, versions=(3,)))
    assert seen.keys() == {""}
    assert seen[""].access.list is Verdict.UNKNOWN
    assert seen[""].facts.items() >= {"version_4": False, "versions.lowest": 3, "versions.highest": 3}.items()


def test_a_server_of_version_4_alone() -> None:
    peer = Peer(versions=(4,))
    seen, _, _ = asked(peer)
    assert seen.keys() == {"", WHOLE}
    assert seen[""].access.list is Verdict.NOT_ASKED
    assert seen[WHOLE].access.list is Verdict.PROVEN
    assert not [program for program, _, procedure in peer.asked if program == 100005 and procedure]


def test_a_server_of_version_2_alone_talks_and_is_not_known() -> None:
    seen, attempts, _ = asked(Peer(versions=(2,)))
    assert (seen[""].access.talk, seen[""].access.list) == (Verdict.PROVEN, Verdict.UNKNOWN)
    assert [why.reason for why in seen[""].unknowns] == [Reason.PROTOCOL]
    assert list(attempts) == ["hello"]


def test_a_server_that_wants_a_login_for_anything_refuses() -> None:
    seen, attempts, _ = asked(Peer(denies=frozenset({0, 1})))
    assert (seen[""].access.talk, seen[""].access.list) == (Verdict.PROVEN, Verdict.REFUSED)
    assert list(attempts) == ["hello"]


def test_an_export_for_others_is_refused() -> None:
    peer = Peer(exports={b"/public": ((b"made-up-host", b"@made-up-group"), None)}, versions=(3,))
    share = only_share(asked(peer)[0])
    assert (share.access.list, share.access.read, share.access.write) == (Verdict.REFUSED,) * 3
    assert share.facts == {"groups": 2, "everyone": False, "mounted": False, "answers_afterwards": True}
    assert share.unknowns == ()


@pytest.mark.parametrize(
    ("group", "is_everyones"),
    [(b"*", True), (b"0.0.0.0/0", True), (b"::/0", True), (b"*.example.org", False), (b"10.0.0.0/8", False)],
)
def test_which_groups_are_everyone(group: bytes, is_everyones: bool) -> None:
    seen, _, _ = asked(Peer(exports={b"/public": ((b"made-up-host", group), archive())}))
    assert only_share(seen).facts["everyone"] is is_everyones
    assert seen[""].facts["exports.everyone"] == int(is_everyones)


@pytest.mark.parametrize("says", [2, 3], ids=["as go-nfs", "PROC_UNAVAIL"])
def test_where_there_is_no_list_the_root_is_tried(says: int) -> None:
    peer = Peer(exports={b"/": ((), archive())}, has_list=False, says_of_list=says)
    seen, _, _ = asked(peer)
    assert seen.keys() == {"", "/"}
    assert (seen["/"].access.list, peer.unmounted) == (Verdict.PROVEN, [b"/"])
    assert not {"groups", "everyone"} & set(seen["/"].facts)
    assert (seen[""].access.list, seen[""].unknowns[0].reason) == (Verdict.UNKNOWN, Reason.PROTOCOL)
    assert "exports" not in seen[""].facts


def test_an_export_that_wants_kerberos_is_refused_behind_its_mount() -> None:
    share = only_share(asked(Peer(versions=(3,), denies=frozenset({1, 3, 4, 6, 16, 17, 19})))[0])
    assert share.access.list is Verdict.REFUSED
    assert share.facts["mounted"] is True


def test_no_exports_are_not_nothing() -> None:
    seen, _, _ = asked(Peer(exports={}, versions=(3,)))
    assert (seen[""].access.list, seen[""].unknowns[0].reason) == (Verdict.UNKNOWN, Reason.EMPTY)
    assert seen[""].facts["exports"] == 0


def test_exports_that_cannot_be_told_apart_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapron.protocols.nfs.jobs.shown_name", lambda _: "share-1")
    seen, _, _ = asked(Peer(exports={b"/a": ((), archive()), b"/b": ((), archive())}))
    assert seen[""].facts.items() >= {"exports": 2, "exports.alike": 1}.items()
    assert (seen[""].access.list, seen[""].unknowns[0].reason) == (Verdict.UNKNOWN, Reason.LIMIT)


def test_an_export_is_called_as_its_last_part_where_that_may_be_said() -> None:
    paths = [b"/srv/x/public", b"/srv/y/public/", b"/", b"/srv/" + CANARY, b"public"]
    named = by_shown_name([mount.Export(path, ()) for path in paths])
    assert named["public"].path == b"/srv/x/public"
    assert {export.path for export in named.values()} == set(paths[:4])
    assert all(name in ("public", "/") or re.fullmatch("share-[0-9a-f]{4}", name) for name in named)


def test_nothing_was_asked_where_the_run_was_stopped() -> None:
    seen, why = PROTOCOL.conclude(Case(endpoint=HERE, terms=terms(), attempts={}))
    assert (seen, why and why.reason) == ((), Reason.STOPPED)


def test_what_the_budget_leaves_is_an_unknown_and_what_is_given_to_everyone_comes_first() -> None:
    exports = {b"/%d" % number: ((b"host",), archive()) for number in range(8)} | {b"/public": ((), archive())}
    peer = Elsewhere(exports=exports, versions=(3,))  # type: ignore[arg-type]
    seen, attempts, _ = asked(peer, associations=8)
    assert next(name for name in attempts if name.startswith("tree:")) == "tree:public"
    assert len([name for name in attempts if name != "health"]) == 4
    left = [each for name, each in seen.items() if name and f"tree:{name}" not in attempts]
    assert len(left) == 7
    assert {(each.access.list, each.unknowns[0].reason) for each in left} == {(Verdict.UNKNOWN, Reason.BUDGET)}


def test_at_the_depth_of_talk_nothing_but_null_is_said() -> None:
    peer = Peer()
    seen, _, _ = asked(peer, depth=Depth.TALK)
    assert {procedure for _, _, procedure in peer.asked} == {0}
    assert seen[""].access.list is Verdict.NOT_ASKED


@pytest.mark.parametrize(
    ("clear_census", "depth", "expected"),
    [(True, Depth.CENSUS, Depth.CENSUS), (False, Depth.CENSUS, Depth.COUNT), (True, Depth.COUNT, Depth.COUNT)],
)
def test_a_walk_goes_as_deep_as_the_terms(clear_census: bool, depth: Depth, expected: Depth) -> None:
    _, attempts, _ = asked(Peer())
    del attempts["tree:public"]
    job = PROTOCOL.next_job(
        Case(endpoint=HERE, terms=terms(depth=depth, census=clear_census), attempts=attempts), IDENTIFY
    )
    assert job is not None
    assert (job.depth, job.limits.low_port, job.in_clear) == (expected, True, True)


def test_an_export_that_is_gone_is_an_unknown() -> None:
    peer = Peer(versions=(3,))
    _, attempts, _ = asked(peer)
    del attempts["tree:public"]
    case = Case(endpoint=HERE, terms=terms(), attempts=attempts)
    job = PROTOCOL.next_job(case, IDENTIFY)
    assert job is not None
    attempt = drive(job.converse(), Peer(exports={b"/another": ((), archive())}))
    assert (attempt.stage, attempt.reason) == (Stage.LIST, Reason.EMPTY)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.PROTOCOL),
        (b"SSH-2.0-made-up\r\n", Reason.PROTOCOL),
        (b"\x80\0\0\4abcd", Reason.PROTOCOL),
        (bytes(64), Reason.TIMEOUT),  # fragments of nothing: a record that does not come
    ],
)
def test_what_is_no_rpc_is_no_server(answer: bytes, reason: Reason) -> None:
    conversation = Hello(endpoint=HERE).converse()
    next(conversation)
    attempt: Attempt[Any] | None = None
    try:
        for _ in range(10):
            conversation.send(answer)
        conversation.throw(Lost(Reason.TIMEOUT))
    except StopIteration as stop:
        attempt = stop.value
    assert isinstance(attempt, Failed)
    assert (attempt.stage, attempt.reason) == (Stage.HANDSHAKE, reason)


def test_rpc_that_is_not_nfs_is_no_server() -> None:
    class Other(Peer):
        def _dispatch(self, program: int, version: int, procedure: int, reader: Any) -> bytes:
            return uint(1) + bytes(12) + uint(1)

    seen, _, why = asked(Other())
    assert seen == {}
    assert why is not None
    assert (why.stage, why.reason) == (Stage.HANDSHAKE, Reason.PROTOCOL)


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.RESET, Reason.REFUSED])
def test_a_hello_that_is_lost_keeps_its_reason(reason: Reason) -> None:
    conversation = Hello(endpoint=HERE).converse()
    next(conversation)
    with pytest.raises(StopIteration) as stop:
        conversation.throw(Lost(reason))
    assert stop.value.value == Failed(stage=Stage.HANDSHAKE, reason=reason)


def test_a_hello_that_is_lost_in_the_middle_keeps_what_it_heard() -> None:
    peer = Peer()
    conversation = Hello(endpoint=HERE).converse()
    record = next(conversation)[4:]
    conversation.send(peer.answer(record))
    with pytest.raises(StopIteration) as stop:
        conversation.throw(Lost(Reason.TIMEOUT))
    assert isinstance(stop.value.value, Completed)
    assert stop.value.value.result.version_4 is None


def test_nothing_that_a_peer_names_is_kept() -> None:
    tree = Folder({CANARY + b".dcm": archive().content[b"CT0001.dcm"], CANARY: archive()})
    exports = {b"/" + CANARY: ((CANARY,), tree), b"/x/" + CANARY: ((CANARY,), None)}
    seen, attempts, _ = asked(Peer(exports=exports))  # type: ignore[arg-type]
    assert len(seen) == 3
    assert CANARY.decode() not in f"{seen} {attempts}"


@given(data=st.data())
def test_whatever_comes_is_a_result(data: st.DataObject) -> None:
    """Each job ends, and what it says can be stored, whatever a reply is cut to, or filled with."""

    def tamper(record: bytes) -> bytes:
        kind = data.draw(st.sampled_from(["whole", "whole", "whole", "cut", "filled", "changed"]))
        if kind == "cut":
            return record[: data.draw(st.integers(0, len(record)))]
        if kind == "filled":
            return record[:24] + data.draw(st.binary(max_size=100))
        if kind == "changed":
            at = data.draw(st.integers(0, len(record) // 4)) * 4
            return record[:at] + uint(data.draw(st.integers(0, 2**32 - 1))) + record[at + 4 :]
        return record

    seen, _, why = asked(Elsewhere(tamper=tamper))
    assert bool(seen) is (why is None)
    for each in seen.values():
        assert each.unknowns or Verdict.UNKNOWN not in (each.access.talk, each.access.list)


def test_replies_come_in_any_order_and_strays_are_passed_over() -> None:
    channel, peer = Channel(), Peer()
    conversation = channel.ask_all([nfs3.NULL, Call(100003, 4, 0), Call(100003, 9, 0)])
    sent = next(conversation)
    size = 4 + int.from_bytes(sent[:4], "big") % 2**31
    answers = [peer.answer(sent[at + 4 : at + size]) for at in range(0, len(sent), size)]
    stray = answers[0][:4] + uint(1) + answers[0][8:]
    with pytest.raises(StopIteration) as stop:
        conversation.send(stray + b"".join(reversed(answers)))
    assert [reply.high for reply in stop.value.value] == [0, 0, 4]


def test_too_many_strays_are_no_answer() -> None:
    peer = Peer()
    conversation = Hello(endpoint=HERE).converse()
    answer = peer.answer(next(conversation)[4:])
    with pytest.raises(StopIteration) as stop:
        conversation.send((answer[:4] + uint(1) + answer[8:]) * 40)
    assert stop.value.value.reason is Reason.LIMIT
