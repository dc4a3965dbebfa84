import errno
import socket
import subprocess
import sys

import pytest
from real_servers import require

from leadapron.errors import OutOfScope
from leadapron.net.syn.raw import open_raw
from leadapron.scope.hook import armed

ASK = """
from leadapron.net.syn import can_sweep_raw
print(can_sweep_raw())
"""


class Nowhere:
    def dial_allowed(self, host: str, port: int) -> None:
        raise AssertionError((host, port))


@pytest.mark.peer
@pytest.mark.parametrize(("without", "can"), [((), "True"), (("--bounding-set=-net_raw", "--inh-caps=-all"), "False")])
def test_raw_packets_want_their_capability(without: tuple[str, ...], can: str) -> None:
    require("setpriv")
    asked = subprocess.run(
        ["setpriv", *without, sys.executable, "-c", ASK], check=True, capture_output=True, text=True, timeout=60
    )
    assert asked.stdout.strip() == can


def test_what_the_kernel_refuses_is_an_error_with_its_number() -> None:
    with pytest.raises(OSError, match=r".") as caught:
        open_raw(socket.AF_INET, socket.SOCK_RAW, 9999)
    assert caught.value.errno in (errno.EINVAL, errno.EPERM, errno.EPROTONOSUPPORT)


@pytest.mark.peer
def test_every_other_way_to_a_raw_socket_stays_shut() -> None:
    require()
    with armed(Nowhere()):
        for family, kind in ((socket.AF_INET, socket.SOCK_RAW), (socket.AF_PACKET, socket.SOCK_DGRAM)):
            with pytest.raises(OutOfScope):
                socket.socket(family, kind, 0)
            open_raw(family, kind, 255).close()
