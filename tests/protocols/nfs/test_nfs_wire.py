"""ONC RPC, the portmapper, MOUNT and both versions of NFS on the wire: whole, byte by byte, truncated, hostile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.nfs.wire import files, mount, nfs3, nfs4, portmap, rpc, xdr
from leadapron.protocols.nfs.wire.rpc import Outcome, Records, Reply, read_reply
from leadapron.protocols.nfs.wire.xdr import Reader, hyper, opaque, uint
from seeds import seeds

ATTRIBUTES = uint(2) + uint(0o777) + bytes(12) + hyper(4096) + bytes(16) + hyper(7) + bytes(32)
READ: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "port": (portmap.read_port, uint(20048)),
    "exports": (mount.read_exports, uint(1) + opaque(b"/public") + uint(1) + opaque(b"*") + uint(0) + uint(0)),
    "mounted": (mount.read_mounted, uint(0) + opaque(b"handle") + uint(2) + uint(1) + uint(6)),
    "page 3": (
        lambda body: nfs3.VERSION_3.read_page(body, plain=False),
        uint(0)
        + uint(1)
        + ATTRIBUTES
        + bytes(8)
        + (uint(1) + hyper(9) + opaque(b"name") + hyper(3) + uint(1) + ATTRIBUTES + uint(1) + opaque(b"h"))
        + uint(0)
        + uint(1),
    ),
    "plain page 3": (
        lambda body: nfs3.VERSION_3.read_page(body, plain=True),
        uint(0) + uint(0) + bytes(8) + uint(1) + hyper(9) + opaque(b"name") + hyper(3) + uint(0) + uint(1),
    ),
    "node 3": (nfs3.VERSION_3.read_node, uint(0) + opaque(b"handle") + uint(1) + ATTRIBUTES),
    "attributes 3": (nfs3.VERSION_3.read_attributes, uint(0) + ATTRIBUTES),
    "may change 3": (nfs3.VERSION_3.read_may_change, uint(0) + uint(0) + uint(12)),
    "data 3": (
        lambda body: nfs3.VERSION_3.read_data(body, 16),
        uint(0) + uint(0) + uint(4) + uint(1) + opaque(b"DICM"),
    ),
    "largest read": (nfs3.read_largest_read, uint(0) + uint(0) + uint(65536)),
    "root 4": (
        nfs4.read_root,
        uint(0) + opaque(b"") + uint(3) + uint(24) + uint(0) + uint(10) + uint(0) + opaque(b"root")
        + (uint(9) + uint(0) + uint(2) + uint(2) + uint(2) + opaque(uint(2) + uint(0o777))),
    ),
    "page 4": (
        lambda body: nfs4.VERSION_4.read_page(body, plain=False),
        uint(0) + opaque(b"") + uint(2) + uint(22) + uint(0) + uint(26) + uint(0) + bytes(8)
        + (uint(1) + hyper(3) + opaque(b"name") + uint(1) + uint(0x12) + opaque(uint(1) + hyper(9)))
        + uint(0) + uint(1),
    ),
    "data 4": (
        lambda body: nfs4.VERSION_4.read_data(body, 16),
        uint(0) + opaque(b"") + uint(2) + uint(22) + uint(0) + uint(25) + uint(0) + uint(1) + opaque(b"DICM"),
    ),
}  # fmt: skip
EXPECTED: dict[str, Any] = {
    "port": 20048,
    "exports": [mount.Export(b"/public", (b"*",))],
    "mounted": mount.Mounted(mount.Status.OK, b"handle", (1, 6)),
    "node 3": files.Node(files.Status.OK, b"handle", files.Attributes(files.Type.DIRECTORY, 0o777, 4096, hyper(7))),
    "may change 3": True,
    "data 3": files.Data(files.Status.OK, b"DICM", True),
    "largest read": 65536,
    "root 4": files.Node(files.Status.OK, b"root", files.Attributes(files.Type.DIRECTORY, 0o777, None, None)),
    "page 4": files.Page(
        files.Status.OK,
        [files.Item(b"name", 3, None, files.Attributes(files.Type.REGULAR, None, 9, None))],
        bytes(8),
        True,
    ),
    "data 4": files.Data(files.Status.OK, b"DICM", True),
}
ALL = pytest.mark.parametrize("name", list(READ))


@pytest.mark.parametrize("name", list(EXPECTED))
def test_a_body_reads_as_what_it_is(name: str) -> None:
    read, body = READ[name]
    assert read(body) == EXPECTED[name]


@ALL
def test_a_body_that_is_cut_anywhere_is_an_error(name: str) -> None:
    read, body = READ[name]
    for length in range(len(body)):
        with pytest.raises(WireError):
            read(body[:length])
    read(body)


@ALL
@given(data=st.data())
def test_any_body_is_a_result_or_the_one_error(name: str, data: st.DataObject) -> None:
    read, body = READ[name]
    at = data.draw(st.integers(0, len(body)))
    changed = body[:at] + data.draw(st.binary(max_size=64)) + body[at + data.draw(st.integers(0, 16)) :]
    try:
        read(changed)
    except WireError as error:
        assert error.rule


# -- XDR ---------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=100))
def test_what_is_written_is_read(number: int, large: int, data: bytes) -> None:
    reader = Reader(uint(number) + hyper(large) + opaque(data))
    assert (reader.uint(), reader.hyper(), reader.opaque(100), reader.left) == (number, large, data, 0)


@pytest.mark.parametrize(
    ("data", "read", "is_limit"),
    [
        (uint(101), lambda reader: reader.opaque(100), True),
        (uint(2**32 - 1), lambda reader: reader.uints(8), True),
        (uint(2), lambda reader: reader.flag(), False),
        (uint(5) + b"12345", lambda reader: reader.opaque(5), False),
        (b"\0\0\0", lambda reader: reader.uint(), False),
    ],
    ids=["a long string", "a long array", "no boolean", "padding that is missing", "half a number"],
)
def test_what_breaks_a_bound_is_an_error(data: bytes, read: Callable[[Reader], object], is_limit: bool) -> None:
    with pytest.raises(WireError) as error:
        read(Reader(data))
    assert error.value.limit is is_limit


# -- RPC ---------------------------------------------------------------------------------------------------------------

VERIFIER = uint(0) + opaque(b"")


@pytest.mark.parametrize(
    ("record", "reply"),
    [
        (uint(0) + VERIFIER + uint(0) + b"body", Reply(7, Outcome.SUCCESS, b"body")),
        (uint(0) + VERIFIER + uint(1), Reply(7, Outcome.NO_PROGRAM)),
        (uint(0) + VERIFIER + uint(2) + uint(2) + uint(4), Reply(7, Outcome.NO_VERSION, low=2, high=4)),
        (uint(0) + VERIFIER + uint(3), Reply(7, Outcome.NO_PROCEDURE)),
        (uint(1) + uint(0) + uint(2) + uint(3), Reply(7, Outcome.RPC_MISMATCH, low=2, high=3)),
        (uint(1) + uint(1) + uint(5), Reply(7, Outcome.AUTH)),
    ],
)
def test_replies(record: bytes, reply: Reply) -> None:
    assert read_reply(uint(7) + uint(1) + record) == reply


@pytest.mark.parametrize(
    "record",
    [b"", uint(7), uint(7) + uint(0), uint(7) + uint(1) + uint(2), uint(7) + uint(1) + uint(0) + VERIFIER + uint(6)],
)
def test_what_is_no_reply_is_an_error(record: bytes) -> None:
    with pytest.raises(WireError):
        read_reply(record)


@given(st.binary(max_size=200))
@seeds(
    [
        (uint(7) + uint(1) + uint(0) + VERIFIER + uint(0) + b"body",),
        (uint(7) + uint(1) + uint(1) + uint(1) + uint(5),),
        (uint(7) + uint(1) + uint(0) + uint(0) + uint(2**32 - 1),),
        (b"TP/1.1 400 Bad Request\r\n\r\n",),
    ]
)
def test_any_record_is_a_reply_or_the_one_error(record: bytes) -> None:
    try:
        assert isinstance(read_reply(record), Reply)
    except WireError as error:
        assert error.rule


def test_a_call_says_that_we_are_nobody() -> None:
    record = mount.mnt(b"/public").encode(9)
    assert record[:4] == uint(0x8000_0000 | len(record) - 4)
    reader = Reader(record[4:])
    assert [reader.uint() for _ in range(6)] == [9, 0, 2, 100005, 3, 1]
    assert reader.uint() == 1
    login = Reader(reader.opaque(400))
    assert (login.uint(), login.opaque(255), login.uint(), login.uint(), login.uint()) == (
        0, b"leadapron", 65534, 65534, 0,
    )  # fmt: skip
    assert (reader.uint(), reader.opaque(400), reader.opaque(1024), reader.left) == (0, b"", b"/public", 0)


def fragments(*parts: bytes) -> bytes:
    marks = [len(part) for part in parts]
    marks[-1] |= 0x8000_0000
    return b"".join(uint(mark) + part for mark, part in zip(marks, parts, strict=True))


def records(data: bytes, step: int) -> list[bytes]:
    into, found = Records(), []
    for at in range(0, len(data), step):
        into.receive_data(data[at : at + step])
        while (record := into.next_record()) is not None:
            found.append(record)
    return found


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_records_come_whole_and_byte_by_byte(step: int) -> None:
    data = fragments(b"one") + fragments(b"t", b"", b"wo") + fragments(b"") + fragments(b"three")[:-1]
    assert records(data, step) == [b"one", b"two", b""]


@given(st.lists(st.lists(st.binary(max_size=20), min_size=1, max_size=5), max_size=5), st.integers(1, 50))
def test_records_are_what_was_sent(parts: list[list[bytes]], step: int) -> None:
    data = b"".join(fragments(*each) for each in parts)
    assert records(data, step) == [b"".join(each) for each in parts]


@pytest.mark.parametrize(
    "data",
    [
        uint(0x7FFF_FFFF),
        uint(0x8000_0000 | rpc.MAX_RECORD + 1),
        uint(0) * (rpc.MAX_FRAGMENTS + 1),
        (uint(rpc.MAX_RECORD) + bytes(rpc.MAX_RECORD)) + uint(1),
    ],
    ids=["2 GiB", "one byte too long", "too many fragments", "too long with the second fragment"],
)
def test_a_record_longer_than_it_may_be_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError) as error:
        records(data, len(data))
    assert error.value.limit


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_bytes_are_records_or_the_one_error(data: bytes, step: int) -> None:
    try:
        assert sum(map(len, records(data, step))) <= len(data)
    except WireError as error:
        assert error.rule


# -- MOUNT and the rest ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", [65536, 2**32 - 1])
def test_a_port_that_there_is_not_is_none(port: int) -> None:
    assert portmap.read_port(uint(port)) == 0


def test_a_list_of_exports_is_bounded() -> None:
    export = uint(1) + opaque(b"/e") + uint(0)
    assert len(mount.read_exports(export * mount.MAX_EXPORTS + uint(0))) == mount.MAX_EXPORTS
    for endless in (export * (mount.MAX_EXPORTS + 1), uint(1) + opaque(b"/e") + (uint(1) + opaque(b"g")) * 5000):
        with pytest.raises(WireError) as error:
            mount.read_exports(endless + uint(0))
        assert error.value.limit


@pytest.mark.parametrize(
    ("number", "status"), [(13, mount.Status.ACCES), (1, mount.Status.PERM), (999, mount.Status.OTHER)]
)
def test_a_mount_that_fails_has_its_status(number: int, status: mount.Status) -> None:
    assert mount.read_mounted(uint(number)) == mount.Mounted(status)


@pytest.mark.parametrize("length", [0, 65])
def test_a_handle_has_its_bounds(length: int) -> None:
    with pytest.raises(WireError):
        mount.read_mounted(uint(0) + opaque(bytes(length)) + uint(0))
    with pytest.raises(WireError):
        nfs3.VERSION_3.read_node(uint(0) + opaque(bytes(length)) + uint(0))


@pytest.mark.parametrize("type_", [0, 3, 4, 5, 6, 7, 9, 2**32 - 1])
def test_what_is_no_file_and_no_folder_is_other(type_: int) -> None:
    node = nfs3.VERSION_3.read_attributes(uint(0) + uint(type_) + ATTRIBUTES[4:])
    assert node.attributes is not None
    assert node.attributes.type is files.Type.OTHER


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (uint(13) + opaque(b"tag") + uint(1) + uint(24) + uint(13), files.Status.ACCESS),
        (uint(10016) + opaque(b"") + uint(2) + uint(24) + uint(0) + uint(10) + uint(10016), files.Status.ACCESS),
        (uint(10021) + opaque(b"") + uint(0), files.Status.OTHER),
    ],
)
def test_a_compound_ends_with_the_first_that_fails(body: bytes, status: files.Status) -> None:
    assert nfs4.read_root(body) == files.Node(status)


@pytest.mark.parametrize(
    "body",
    [
        uint(0) + opaque(b"") + uint(0),
        uint(0) + opaque(b"") + uint(9),
        uint(0) + opaque(b"") + uint(1) + uint(15) + uint(0),
        uint(0) + opaque(bytes(1025)) + uint(0),
    ],
    ids=["a success of nothing", "too many results", "the result of another operation", "a long tag"],
)
def test_a_compound_that_does_not_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        nfs4.read_root(body)


def test_an_attribute_that_was_not_asked_for_is_an_error() -> None:
    head = uint(0) + opaque(b"") + uint(2) + uint(22) + uint(0) + uint(9) + uint(0)
    with pytest.raises(WireError):
        nfs4.VERSION_4.read_attributes(head + uint(1) + uint(1 << 3) + opaque(hyper(1)))


def test_numbers_on_the_wire_are_what_the_standard_says() -> None:
    assert (b"\0\0\0\1", bytes(4)) == (xdr.TRUE, xdr.FALSE)
    assert (mount.EXPORT.procedure, mount.umnt(b"/").procedure, nfs3.fsinfo(b"h").procedure) == (5, 3, 19)
