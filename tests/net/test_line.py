import resource
import socket
import subprocess
import sys

from leadapron.net.line import Line, address_text, has_source, open_socket, permitted_sockets


def test_addresses_as_text() -> None:
    assert address_text(0x7F000001, 4) == "127.0.0.1"
    assert address_text(1, 6) == "::1"
    assert address_text(0x20010DB8 << 96, 6) == "2001:db8::"


def test_a_socket_does_not_block() -> None:
    opened = open_socket(4)
    assert opened.gettimeout() == 0.0
    opened.close()


def test_loopback_has_a_source_address() -> None:
    assert has_source(4, ("127.0.0.1", 104))


def test_a_socket_that_met_itself_is_recognised() -> None:
    line = Line()
    line.socket = socket.socket()
    line.socket.bind(("127.0.0.1", 0))
    line.place = line.socket.getsockname()
    line.socket.connect(line.place)
    assert line.is_to_itself()
    line.socket.close()


def test_a_connection_to_another_socket_is_none_to_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line()
        line.place = server.getsockname()
        line.socket = socket.create_connection(line.place)
        assert not line.is_to_itself()
        line.socket.close()


def test_few_sockets_are_permitted_as_wanted() -> None:
    assert permitted_sockets(10) == 10


def test_more_than_the_files_allow_are_not_permitted() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or permitted_sockets(hard) < hard


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    program = """
import resource
from leadapron.net.line import permitted_sockets
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
print(permitted_sockets(1000), permitted_sockets(20), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    many, few, soft, hard = map(int, done.stdout.split())
    assert 150 < many < 300
    assert (few, soft, hard) == (20, 300, 300)
