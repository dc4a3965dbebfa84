from __future__ import annotations

import io

import pytest
from scans import NMAP, OPEN, found, shown

from leadapron.discover.seeds.pairs import Found, Kind, Skipped
from leadapron.discover.seeds.source import MAX_RECORD
from leadapron.discover.seeds.xml import read_nmap
from leadapron.errors import InputError
from leadapron.scope.decision import Denied
from leadapron.scope.hook import armed


class Nowhere:
    """A guard that lets nothing pass, and remembers what was wanted."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def dial_allowed(self, host: str, _port: int) -> Denied:
        self.asked.append(host)
        return Denied.NO_GRANT


OF_MASSCAN = """<?xml version="1.0"?>
<!-- masscan v1.0 scan -->
<nmaprun scanner="masscan" start="1795869800" version="1.0-BETA"  xmloutputversion="1.03">
<scaninfo type="syn" protocol="tcp" />
<host endtime="1795869800"><address addr="198.18.0.2" addrtype="ipv4"/><ports><port protocol="tcp" portid="104"><state \
state="open" reason="syn-ack" reason_ttl="64"/></port></ports></host>
<host endtime="1795869800"><address addr="198.18.0.4" addrtype="ipv4"/><ports><port protocol="tcp" portid="104"><state \
state="open" reason="syn-ack" reason_ttl="64"/></port></ports></host>
<runstats><finished time="1795869801" elapsed="3" /></runstats>
</nmaprun>
"""


def read(text: str | bytes) -> Found:
    made = found()
    read_nmap(io.BufferedReader(io.BytesIO(text.encode() if isinstance(text, str) else text)), made)  # type: ignore[arg-type]
    return made


def test_the_open_tcp_ports_of_each_host() -> None:
    made = read(NMAP)
    assert shown(made.seeds(Kind.NMAP, "")) == OPEN
    assert made.skipped == {Skipped.NOT_OPEN: 1, Skipped.NOT_TCP: 1, Skipped.NO_PORT: 1}
    assert shown(read(OF_MASSCAN).seeds(Kind.NMAP, "")) == OPEN


def test_ipv6_has_its_address_too() -> None:
    text = NMAP.replace('addr="198.18.0.4" addrtype="ipv4"', 'addr="2001:db8::4" addrtype="ipv6"')
    assert shown(read(text).seeds(Kind.NMAP, "")) == ["198.18.0.2:104", "[2001:db8::4]:104"]


@pytest.mark.parametrize("text", [NMAP, OF_MASSCAN], ids=["nmap", "masscan"])
def test_what_is_cut_off_is_a_line_wherever_it_is_cut(text: str) -> None:
    for end in range(1, len(text.rstrip()), 13):
        with pytest.raises(InputError, match=r"^scan: .*is cut off") as caught:
            read(text[:end])
        assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<html><body>no</body></html>", "is XML, but not of nmap"),
        (NMAP.replace("<!DOCTYPE nmaprun>", '<!DOCTYPE nmaprun [<!ENTITY a "b">]>'), "declares entities"),
        (NMAP.replace('portid="104"', 'portid="x"', 1), "host 1: has a port that is none"),
        (NMAP.replace('portid="104"', 'portid="70000"', 1), "host 1: has no port from 1"),
        (NMAP.replace('portid="104"', 'portid="-1"', 1), "host 1: has a port that is none"),
        (NMAP.replace('portid="104"', f'portid="{"1" * 9000}"', 1), "host 1: has a port that is none"),
        (NMAP.replace("198.18.0.4", "SYNTHETIC^CANARY"), "host 2: has no IP address"),
        (NMAP.replace('<address addr="198.18.0.4" addrtype="ipv4"/>', ""), "host 2: has no IP address"),
        (NMAP.replace("UTF-8", "no-such-encoding"), "is no XML"),
        (NMAP.encode().replace(b"Nmap done", b"\xff\xfe"), "is no XML"),
        (b"\xff\xfe<\0n\0", "is no XML"),
    ],
)
def test_a_file_that_nmap_did_not_write(text: str | bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        read(text)
    assert "CANARY" not in str(caught.value)


def test_a_document_type_is_not_fetched() -> None:
    """Older versions of nmap name one."""
    named = NMAP.replace(
        "<!DOCTYPE nmaprun>", '<!DOCTYPE nmaprun PUBLIC "-//IDN nmap.org//DTD" "http://192.0.2.1/x.dtd">'
    )
    with armed(guard := Nowhere()):
        assert shown(read(named).seeds(Kind.NMAP, "")) == OPEN
    assert guard.asked == []


def test_port_zero_is_counted() -> None:
    assert read(NMAP.replace('portid="104"', 'portid="0"', 1)).skipped[Skipped.NO_PORT] == 2


def test_a_part_without_end_is_not_kept() -> None:
    for head in ("<nmaprun><host a='", "<nmaprun><!-- "):
        with pytest.raises(InputError, match="has a part longer than 1 MiB"):
            read(head + "x" * (MAX_RECORD + (1 << 17)))


def test_a_port_outside_of_a_host_is_none() -> None:
    port = '<ports><port protocol="tcp" portid="1"><state state="open"/></port></ports>'
    assert shown(read(NMAP.replace("<runstats>", f"{port}<runstats>")).seeds(Kind.NMAP, "")) == OPEN
