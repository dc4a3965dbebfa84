"""Messages of SMB: whole, truncated, hostile; any bytes give a result or WireError."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smb_server import (
    BOUND,
    HEADER,
    Said,
    Server,
    called,
    challenge,
    connected,
    created,
    entries,
    entry,
    enumerated,
    fragment,
    have_read,
    negotiated,
    queried,
    shares,
    string,
    utf16,
)

from leadapron.errors import WireError
from leadapron.protocols.smb.tree import name_of, wire_path
from leadapron.protocols.smb.wire import der, file, header, negotiate, rpc, setup, share, srvsvc
from leadapron.protocols.smb.wire.frame import MAX_MESSAGE, Frames, framed
from leadapron.protocols.smb.wire.header import Command, Request, Response
from seeds import seeds


def response(said: Said, command: int = 0) -> Response:
    head = HEADER.pack(header.MAGIC, 64, 1, said.status, command, 1, 1, 0, 0, 0, said.tree_id, 7, bytes(16))
    (found,) = header.decode(head + said.body)
    return found


def names(found: Response) -> list[bytes]:
    return [line.name for line in file.lines(found)]


DECODERS: dict[str, tuple[Callable[[Response], object], Said]] = {
    "negotiate": (negotiate.read, negotiated()),
    "setup": (setup.read, Said(body=struct.pack("<HHHH", 9, 1, 72, 4) + b"abcd")),
    "token": (setup.token_of, Said(body=struct.pack("<HHHH", 9, 1, 72, 4) + b"abcd")),
    "share": (share.read, connected()),
    "created": (file.created, created()),
    "read": (lambda found: file.have_read(found, 100), have_read(b"abc")),
    "lines": (names, entries(entry("a"), entry("b"))),
    "called": (file.called, called(BOUND)),
}


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_messages_come_out_whole_however_they_came_in(piece: int) -> None:
    frames, found = Frames(), []
    data = framed(b"first") + framed(b"") + framed(b"second")
    for place in range(0, len(data), piece):
        frames.feed(data[place : place + piece])
        while (message := frames.take()) is not None:
            found.append(message)
    assert found == [b"first", b"", b"second"]
    assert frames.is_empty


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK", b"\x85\0\0\0", (MAX_MESSAGE + 1).to_bytes(4, "big"), b"\0\xff\xff\xff"]
)
def test_what_is_no_frame_or_too_long_is_told_from_its_prefix(data: bytes) -> None:
    frames = Frames()
    frames.feed(data)
    with pytest.raises(WireError):
        frames.take()


# -- headers -----------------------------------------------------------------------------------------------------------


def test_a_chain_is_aligned_and_its_rest_is_related() -> None:
    common = {"session_id": 7, "tree_id": 3, "charge": 1, "credits": 9}
    chain = [
        Request(command=Command.CREATE, message_id=4, body=b"abc", **common),
        Request(command=Command.CLOSE, message_id=5, body=b"defg", related=True, **common),
    ]
    message = header.encode(chain)
    first, second = HEADER.unpack_from(message), HEADER.unpack_from(message, 72)
    assert first[7] == 72
    assert second[7] == 0
    assert (first[6], second[6]) == (0, 4)
    assert (first[8], second[8]) == (4, 5)


@pytest.mark.parametrize("following", [1, 8, 64, 72, 80, 0xFFFFFFF8])
def test_a_chain_that_leads_nowhere_is_an_error(following: int) -> None:
    head = HEADER.pack(header.MAGIC, 64, 1, 0, 0, 1, 1, following, 0, 0, 0, 0, bytes(16))
    with pytest.raises(WireError):
        header.decode(head + bytes(8))


def test_a_chain_has_an_end() -> None:
    one = HEADER.pack(header.MAGIC, 64, 1, 0, 0, 1, 1, 72, 0, 0, 0, 0, bytes(16)) + bytes(8)
    with pytest.raises(WireError):
        header.decode(one * 20_000)


@pytest.mark.parametrize("magic", [b"\xfdSMB", b"\xfcSMB", b"\xffSMB", b"HTTP"])
def test_what_is_encrypted_compressed_or_older_is_no_response(magic: bytes) -> None:
    with pytest.raises(WireError):
        header.decode(HEADER.pack(magic, 64, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, bytes(16)) + bytes(8))


@given(st.binary(max_size=300), st.booleans())
@seeds(
    [
        (negotiated().body, True),
        (Said(0xC0000022).body, True),
        (b"\xfdSMB" + bytes(80), False),
        (b"\xffSMB" + bytes(80), False),
        (b"\xff" * 300, True),
    ]
)
def test_any_bytes_are_responses_or_an_error(data: bytes, begins_well: bool) -> None:
    if begins_well:
        data = HEADER.pack(header.MAGIC, 64, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, bytes(16)) + data
    with contextlib.suppress(WireError):
        assert header.decode(data)


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DECODERS)
def test_a_body_decodes_whole_and_not_cut(name: str) -> None:
    decode, said = DECODERS[name]
    decode(response(said))
    for length in range(2, len(said.body)):
        cut = response(said._replace(body=said.body[:length]))
        with pytest.raises(WireError):
            decode(cut)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_any_body_decodes_or_is_an_error(name: str, data: st.DataObject) -> None:
    decode, said = DECODERS[name]
    body = bytearray(said.body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[place] = data.draw(st.integers(0, 255))
    tail = data.draw(st.binary(max_size=40))
    with contextlib.suppress(WireError):
        decode(response(said._replace(body=bytes(body) + tail)))


def test_the_highest_dialect_and_what_it_can() -> None:
    found = negotiate.read(response(negotiated(0x0302, security=3)))
    assert (found.version, found.signing_required, found.encryption) == (302, True, True)


@pytest.mark.parametrize(("cipher", "encrypts"), [(0, False), (1, True), (2, True)])
def test_in_3_1_1_a_context_says_whether_it_encrypts(cipher: int, encrypts: bool) -> None:
    contexts = struct.pack("<HHI", 1, 6, 0) + bytes(6) + bytes(2) + struct.pack("<HHIHH", 2, 4, 0, 1, cipher)
    said = negotiated(0x0311, capabilities=0x04, count=2, at=128)
    found = negotiate.read(response(said._replace(body=said.body + contexts)))
    assert (found.version, found.encryption) == (311, encrypts)


@pytest.mark.parametrize(("count", "at"), [(0, 0), (1, 0), (1, 1 << 31), (1, 127), (65535, 128)])
def test_3_1_1_without_sound_contexts_is_an_error(count: int, at: int) -> None:
    with pytest.raises(WireError):
        negotiate.read(response(negotiated(0x0311, count=count, at=at)))


@pytest.mark.parametrize("dialect", [0x02FF, 0x0000, 0x0224, 0xFFFF])
def test_a_dialect_that_was_not_offered_is_an_error(dialect: int) -> None:
    with pytest.raises(WireError):
        negotiate.read(response(negotiated(dialect)))


def test_a_file_that_would_have_been_created_is_an_error() -> None:
    with pytest.raises(WireError):
        file.created(response(created(action=2)))


def test_an_open_never_creates_writes_or_follows() -> None:
    for body in (file.open_folder(utf16("x")), file.open_file(utf16("x")), file.open_root()):
        fields = struct.unpack_from("<HBBIQQIIIIIHHII", body)
        access, disposition, options = fields[6], fields[9], fields[10]
        assert access & ~0x81 == 0
        assert disposition == 1
        assert options & 0x00200000
        assert not options & 0x1000  # FILE_DELETE_ON_CLOSE


def with_context(context: bytes, length: int | None = None) -> Response:
    body = created().body[:-8] + struct.pack("<II", 152, len(context) if length is None else length)
    return response(Said(body=body + context))


def maximal(access: int, status: int = 0, name: bytes = b"MxAc", following: int = 0) -> bytes:
    return struct.pack("<IHHHHI", following, 16, 4, 0, 24, 8) + name + bytes(4) + struct.pack("<II", status, access)


@pytest.mark.parametrize(
    ("context", "access"),
    [
        (maximal(0x1F01FF), 0x1F01FF),
        (maximal(1, name=b"QFid", following=32) + maximal(0x1200A9), 0x1200A9),
        (maximal(7, status=0xC0000022), None),
        (maximal(7, name=b"QFid"), None),
        (maximal(7)[:26], None),
        (maximal(7, name=b"QFid", following=0xFFFFFFFF), None),
        (maximal(7, name=b"QFid", following=1) * 50, None),
        (b"", None),
    ],
)
def test_the_access_to_a_root_is_told_or_not(context: bytes, access: int | None) -> None:
    assert file.maximal_access(with_context(context)) == access


def test_contexts_outside_their_message_are_an_error() -> None:
    with pytest.raises(WireError):
        file.maximal_access(with_context(maximal(7), length=1 << 31))


@given(st.binary(max_size=120))
def test_any_context_is_an_access_or_none(data: bytes) -> None:
    found = file.maximal_access(with_context(maximal(3, name=b"QFid", following=32) + data))
    assert found is None or 0 <= found < 1 << 32


# -- listings ----------------------------------------------------------------------------------------------------------


def test_entries_come_in_their_order() -> None:
    assert names(response(entries(entry("a"), entry("bb"), entry("")))) == [utf16("a"), utf16("bb"), b""]


@pytest.mark.parametrize("following", [1, 8, 63, 0xFFFFFFFF, 0x80000000])
def test_an_offset_that_loops_or_leaves_is_an_error(following: int) -> None:
    with pytest.raises(WireError):
        names(response(queried(entry("a", following=following) + entry("b"))))


def test_an_absurd_name_length_is_an_error() -> None:
    raw = bytearray(entry("a", following=0))
    raw[60:64] = b"\xfe\xff\xff\xff"
    with pytest.raises(WireError):
        names(response(queried(bytes(raw))))


# -- sessions ----------------------------------------------------------------------------------------------------------


def wrapped(token: bytes) -> bytes:
    inner = der.element(0xA0, b"\x0a\x01\x01") + der.element(0xA2, der.element(der.OCTETS, token))
    return der.element(0xA1, der.element(der.SEQUENCE, inner))


@pytest.mark.parametrize("token", [challenge(), wrapped(challenge())])
def test_a_challenge_says_the_version_of_the_system(token: bytes) -> None:
    assert setup.read_challenge(token) == setup.SystemVersion(major=6, minor=1, build=0)


def test_a_cut_challenge_is_an_error() -> None:
    token = wrapped(challenge())
    for length in range(len(token)):
        with pytest.raises(WireError):
            setup.read_challenge(token[:length])


@given(st.binary(max_size=200), st.booleans())
def test_any_token_is_a_challenge_or_an_error(data: bytes, begins_well: bool) -> None:
    with contextlib.suppress(WireError):
        setup.read_challenge(wrapped(b"NTLMSSP\0" + data) if begins_well else data)


def test_der_without_an_end_is_an_error() -> None:
    for data in (b"\xa1\x80", b"\xa1\x84\xff\xff\xff\xff", b"\xa1\x83\xff\xff\xff", b"\xa1", b""):
        with pytest.raises(WireError):
            der.split(data)


def test_der_lengths() -> None:
    for length in (0, 127, 128, 255, 256, 70_000):
        assert der.split(der.element(0x04, bytes(length)) + b"rest") == (0x04, bytes(length), b"rest")


# -- shares ------------------------------------------------------------------------------------------------------------


def test_shares_and_which_are_left_alone() -> None:
    found = srvsvc.read(shares(("public", 0), ("data$", 0), ("C", 0x80000000), ("printer", 1)))
    assert [(each.name, each.is_disk, each.is_special) for each in found.shares] == [
        (utf16("public"), True, False),
        (utf16("data$"), True, True),
        (utf16("C"), True, True),
        (utf16("printer"), False, False),
    ]


def test_a_refusal_and_a_cut_are_told() -> None:
    assert srvsvc.read(struct.pack("<IIIIII", 1, 1, 0, 0, 0, 5)).is_denied
    assert srvsvc.read(shares(("public", 0), status=234)).is_cut


def test_cut_shares_are_an_error() -> None:
    stub = shares(("public", 0), ("other", 0))
    for length in range(len(stub)):
        with pytest.raises(WireError):
            srvsvc.read(stub[:length])


@pytest.mark.parametrize("count", [srvsvc.MAX_SHARES + 1, 0xFFFFFFFF])
def test_absurd_numbers_of_shares_are_an_error(count: int) -> None:
    with pytest.raises(WireError):
        srvsvc.read(struct.pack("<IIIIII", 1, 1, 3, count, 4, count) + bytes(1000))


def test_an_absurd_string_is_an_error() -> None:
    head = struct.pack("<IIIIII", 1, 1, 3, 1, 4, 1) + struct.pack("<III", 1, 0, 0)
    for units, offset in ((0xFFFFFFFF, 0), (1, 1), (600, 0)):
        with pytest.raises(WireError):
            srvsvc.read(head + struct.pack("<III", units, offset, units) + bytes(4000))


@given(st.binary(max_size=400), st.booleans())
def test_any_stub_is_shares_or_an_error(data: bytes, begins_well: bool) -> None:
    with contextlib.suppress(WireError):
        srvsvc.read(struct.pack("<IIIIII", 1, 1, 3, 2, 4, 2) + data if begins_well else data)


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_fragments_are_joined(piece: int) -> None:
    stub = shares(("public", 0))
    data = (
        fragment(2, bytes(8) + stub[:10], 1)
        + fragment(2, bytes(8) + stub[10:20], 0)
        + fragment(2, bytes(8) + stub[20:], 2)
    )
    answer = rpc.Answer.to_request()
    for place in range(0, len(data), piece):
        assert not answer.is_whole
        answer.feed(data[place : place + piece])
    assert answer.is_whole
    assert bytes(answer.stub) == stub


@pytest.mark.parametrize(
    "data",
    [
        fragment(3, bytes(16)),
        fragment(2, bytes(16), 2),
        fragment(2, bytes(16), 1) * 2,
        b"HTTP/1.1 200 OK\r\n",
        fragment(2, b"\0" * 4),
        fragment(2, bytes(8), 1) + fragment(2, bytes(8), 0) * rpc.MAX_FRAGMENTS,
    ],
)
def test_what_is_no_answer_to_a_call_is_an_error(data: bytes) -> None:
    with pytest.raises(WireError):
        rpc.Answer.to_request().feed(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_fragments_or_an_error(data: bytes) -> None:
    for whole in (data, fragment(2, data), fragment(12, data)):
        try:
            answer = rpc.Answer.to_bind()
            answer.feed(whole)
            rpc.is_bound(answer.stub)
        except WireError:
            pass


def test_a_bind_is_accepted_or_not() -> None:
    accepted, rejected = rpc.Answer.to_bind(), rpc.Answer.to_bind()
    accepted.feed(BOUND)
    body = struct.pack("<HHI", 4280, 4280, 1) + struct.pack("<H", 0) + bytes(2) + b"\1\0\0\0\2\0" + bytes(22)
    rejected.feed(fragment(12, body))
    assert rpc.is_bound(accepted.stub)
    assert not rpc.is_bound(rejected.stub)


# -- SMB 1 -------------------------------------------------------------------------------------------------------------


def smb1(index: int = 0, status: int = 0, words: int = 17) -> bytes:
    head = struct.pack("<4sBIBH12sHHHH", b"\xffSMB", 0x72, status, 0x98, 0, bytes(12), 0, 0, 0, 1)
    return head + bytes((words,)) + struct.pack("<H", index) + bytes(40)


@pytest.mark.parametrize(
    ("message", "chosen"),
    [(smb1(), True), (smb1(0xFFFF, words=1), False), (smb1(status=0xC00000BB), False), (b"\xfeSMB" + bytes(60), False)],
)
def test_smb1_is_taken_or_not(message: bytes, chosen: bool) -> None:
    assert negotiate.smb1_chosen(message) is chosen


@given(st.binary(max_size=60))
def test_any_answer_to_smb1_is_one_or_an_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        negotiate.smb1_chosen(data)


# -- names -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=30))
def test_any_name_can_be_asked_for_again(units: list[int]) -> None:
    raw = struct.pack(f"<{len(units)}H", *units)
    assert wire_path((name_of(raw),)) == raw


def test_a_path_is_joined_by_backslashes_and_bounded() -> None:
    assert wire_path(()) == b""
    assert wire_path((b"a", "ü".encode())) == utf16("a\\ü")
    assert wire_path((b"x" * 1024,) * 20) is None
    assert wire_path((b"\xff",)) is None


def test_what_a_server_is_told_is_well_formed() -> None:
    assert string("x")
    assert enumerated()
    assert Server().answer(b"") == b""
    assert negotiate.request()[:2] == b"\x24\0"
    offset = int.from_bytes(negotiate.request()[28:32], "little")
    assert offset % 8 == 0
    assert negotiate.request()[offset - 64 : offset - 62] == b"\1\0"
