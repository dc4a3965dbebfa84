from __future__ import annotations

import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from scope_samples import Clock, grant, scope

from leadapron.errors import OutOfScope
from leadapron.scope.decision import Denied
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Ports
from leadapron.scope.hook import arm, armed

Denials = list[tuple[str, int, Denied]]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.fixture
def denials() -> Denials:
    return []


@pytest.fixture
def gate(port: int, denials: Denials) -> Iterator[Gate]:
    """Armed: 127.0.0.0/24 but for 127.0.0.9, ::1 and fe80::1, on the listener's port."""
    subject = scope(
        grant("127.0.0.0/24", "::1/128", "fe80::1/128", exclude=["127.0.0.9"]),
        ports=Ports.of(dicom=(port,)),
        infrastructure=(("127.0.0.53", 53),),
    )
    gate = Gate(subject, clock=Clock())
    with armed(gate, lambda *denial: denials.append(denial)):
        yield gate


def test_a_granted_address_is_reached(gate: Gate, port: int, listener: socket.socket) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        server, _ = listener.accept()
        with server:
            connection.sendmsg([b"hello"])
            assert server.recv(5) == b"hello"


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.9", Denied.EXCLUDED),
        ("127.0.1.1", Denied.NO_GRANT),
        ("0.0.0.0", Denied.NO_GRANT),
        ("", Denied.NAME),
        ("127.1", Denied.NAME),
    ],
)
@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_other_addresses_are_denied(
    gate: Gate, port: int, listener: socket.socket, denials: Denials, host: str, reason: Denied, call: str
) -> None:
    with socket.socket() as ours, pytest.raises(OutOfScope) as caught:
        getattr(ours, call)((host, port))
    assert isinstance(caught.value, OSError)
    assert caught.value.reason == reason
    assert denials == [(host, port, reason)]
    listener.settimeout(0.05)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_port_that_is_not_in_the_scope_is_denied(gate: Gate, port: int, denials: Denials) -> None:
    with socket.socket() as ours, pytest.raises(OutOfScope):
        ours.connect(("127.0.0.1", port ^ 1))
    assert denials == [("127.0.0.1", port ^ 1, Denied.PORT)]


@pytest.mark.parametrize("address", [("::ffff:127.0.0.9",), ("::2",), ("fe80::2%lo",)])
def test_ipv6_is_held_too(gate: Gate, port: int, denials: Denials, address: tuple[str]) -> None:
    with socket.socket(socket.AF_INET6) as ours, pytest.raises(OutOfScope):
        ours.connect((*address, port))
    assert len(denials) == 1


def test_ipv4_mapped_and_bytes_are_read_as_addresses(gate: Gate, port: int) -> None:
    with socket.socket(socket.AF_INET6) as ours:
        ours.connect(("::ffff:127.0.0.1", port))
    with socket.socket() as ours:
        ours.connect((bytearray(b"127.0.0.1"), port))
    with socket.socket() as ours, pytest.raises(OutOfScope):
        ours.connect((b"127.0.0.9", port))


def test_datagrams_are_held_and_infrastructure_is_reached(gate: Gate, port: int, denials: Denials) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as ours:
        ours.sendto(b"", ("127.0.0.53", 53))
        ours.sendto(b"", ("127.0.0.1", port))
        with pytest.raises(OutOfScope):
            ours.sendto(b"", ("127.0.0.9", port))
        with pytest.raises(OutOfScope):
            ours.sendto(b"", 0, ("127.0.0.53", 54))
        with pytest.raises(OutOfScope):
            ours.sendmsg([b""], [], 0, ("127.0.0.9", port))
    assert [denial[2] for denial in denials] == [Denied.EXCLUDED, Denied.PORT, Denied.EXCLUDED]


@pytest.mark.parametrize(
    "look_up",
    [
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: socket.getaddrinfo(b"localhost", 80),
        lambda: socket.getaddrinfo("127.1", 80),
        lambda: socket.getaddrinfo("", 80),
        lambda: socket.gethostbyname("localhost"),
        lambda: socket.gethostbyname_ex("localhost"),
        lambda: socket.gethostbyaddr("127.0.0.1"),
        lambda: socket.getnameinfo(("127.0.0.1", 80), 0),
        lambda: socket.create_connection(("localhost", 80)),
    ],
)
def test_names_are_denied(gate: Gate, denials: Denials, look_up: object) -> None:
    with pytest.raises(OutOfScope):
        look_up()  # type: ignore[operator]
    assert [(number, reason) for _, number, reason in denials] == [(0, Denied.NAME)]


def test_literals_are_parsed(gate: Gate, denials: Denials) -> None:
    assert socket.getaddrinfo("192.0.2.1", 80)
    assert socket.getaddrinfo("2001:db8::1", 80)
    assert socket.getaddrinfo("fe80::1%lo", 80)
    assert socket.getaddrinfo(None, 80)
    assert socket.gethostbyname("192.0.2.1") == "192.0.2.1"
    assert denials == []


def test_local_sockets_are_free_and_other_families_are_not(gate: Gate, tmp_path: Path, denials: Denials) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as ours:
        server.bind(str(tmp_path / "s"))
        server.listen()
        ours.connect(str(tmp_path / "s"))
        ours.sendmsg([b"x"])
    assert denials == []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM) as ours, pytest.raises(OutOfScope):
        ours.connect((0, 0))
    assert denials == [(f"address family {int(socket.AF_NETLINK)}", 0, Denied.FAMILY)]


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        (socket.AF_PACKET, socket.SOCK_RAW),
        (socket.AF_PACKET, socket.SOCK_DGRAM),
        (socket.AF_INET, socket.SOCK_RAW),
        (socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC),
        (socket.AF_NETLINK, socket.SOCK_RAW),
        (socket.AF_INET, 10),
    ],
)
def test_raw_and_packet_sockets_are_not_opened(gate: Gate, denials: Denials, family: int, kind: int) -> None:
    """A packet socket that is bound sends with `send`, of which no hook hears."""
    with pytest.raises(OutOfScope):
        socket.socket(family, kind)
    with pytest.raises(OutOfScope):
        socket.SocketType(family, kind)
    assert denials == 2 * [(f"raw socket of address family {int(family)}", 0, Denied.FAMILY)]


def test_a_socket_of_a_descriptor_is_opened(gate: Gate, listener: socket.socket) -> None:
    with socket.socket(fileno=listener.dup().detach()) as ours:
        assert ours.getsockname() == listener.getsockname()


def test_a_library_that_dials_by_itself_is_held(gate: Gate, port: int, denials: Denials) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(OSError):
        opener.open(f"http://127.0.0.9:{port}/", timeout=2)
    assert denials == [("127.0.0.9", port, Denied.EXCLUDED)]


def test_a_report_that_dials_does_not_report_itself(port: int) -> None:
    seen: Denials = []

    def report(host: str, number: int, reason: Denied) -> None:
        seen.append((host, number, reason))
        with socket.socket() as again, pytest.raises(OutOfScope):
            again.connect(("127.0.0.8", port))

    gate = Gate(scope(), clock=Clock())
    with armed(gate, report), socket.socket() as ours, pytest.raises(OutOfScope):
        ours.connect(("127.0.0.9", port))
    assert seen == [("127.0.0.9", port, Denied.NO_GRANT)]


def test_a_report_that_fails_does_not_let_anything_through(port: int) -> None:
    def report(*_: object) -> None:
        raise OSError("disk full")

    with armed(Gate(scope(), clock=Clock()), report), socket.socket() as ours:
        with pytest.raises(OSError, match="disk full"):
            ours.connect(("127.0.0.1", port))
        with pytest.raises(OSError):
            ours.getpeername()


def test_threads_are_held(gate: Gate, port: int, denials: Denials) -> None:
    def dial() -> None:
        with socket.socket() as ours:
            ours.connect_ex(("127.0.0.1", port))
            with pytest.raises(OutOfScope):
                ours.connect_ex(("127.0.0.9", port))

    threads = [threading.Thread(target=dial) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(denials) == 8


def test_arming_again_replaces_the_gate_and_disarming_restores_it(gate: Gate, port: int) -> None:
    open_gate = Gate(scope(grant("127.0.0.0/8"), ports=Ports.of(dicom=(port,))), clock=Clock())
    with armed(open_gate):
        with socket.socket() as ours:
            ours.connect(("127.0.0.1", port))
        arm(gate)
        with socket.socket() as ours, pytest.raises(OutOfScope):
            ours.connect(("127.0.0.9", port))
    with socket.socket() as ours, pytest.raises(OutOfScope):
        ours.connect(("127.0.0.9", port))


def test_narrowing_reaches_the_armed_hook(gate: Gate, port: int) -> None:
    gate.narrow(scope(grant("127.0.0.0/24", exclude=["127.0.0.1"]), ports=Ports.of(dicom=(port,)), sha256="1" * 64))
    with socket.socket() as ours, pytest.raises(OutOfScope, match="narrowed"):
        ours.connect(("127.0.0.1", port))
