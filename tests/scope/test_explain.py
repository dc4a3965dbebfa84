from __future__ import annotations

from ipaddress import ip_address

import pytest
from scope_samples import NOON, Clock, grant, scope, zone

from leadapron.model import Depth
from leadapron.scope.explain import Sum, account, overview
from leadapron.scope.gate import Gate
from leadapron.scope.window import Window


def gate() -> Gate:
    subject = scope(
        grant("8.0.0.0/6", "198.18.0.0/24", id="wide", wide=True, depth=Depth.COUNT),
        grant("10.0.0.0/28", "2001:db8::/64", id="small", exclude=["10.0.0.7", "172.16.0.1"], names=("pacs.example",)),
        zones=(
            zone("10.0.0.8/29", name="shut", window=Window.parse("22:00-05:00 UTC")),
            zone("198.19.0.0/24", name="nowhere"),
        ),
        infrastructure=(("198.18.0.9", 104),),
    )
    return Gate(subject, pins={"pacs.example": (ip_address("2001:db8::5"),)}, clock=Clock())


def test_the_overview_adds_up() -> None:
    view = overview(gate(), NOON)
    ten, small = 1 << 24, 16
    assert view.granted == Sum(ipv4=(1 << 26) - ten + 255 + small - 1, ipv6=1 << 64)
    assert view.swept == Sum(ipv4=view.granted.ipv4, ipv6=1)
    assert view.permitted_now == Sum(ipv4=view.swept.ipv4 - 8, ipv6=1)
    assert view.excluded == Sum(ipv4=2)
    assert view.special == ("10.0.0.0/8 (private use)",)
    assert view.connections == 2 * (view.swept.ipv4 + 1)
    assert [line.addresses.ipv4 for line in view.grants] == [(1 << 26) - ten + 255, 15]
    assert [line.addresses.ipv4 for line in view.zones] == [8, 0]
    assert [line.open for line in view.zones] == [False, True]


def test_notes_say_what_is_without_effect() -> None:
    notes = overview(gate(), NOON).notes
    assert "exclusion 172.16.0.1/32 of grant 'small' covers nothing that is granted" in notes
    assert "zone 'nowhere' covers nothing that is granted" in notes
    assert any(note.startswith("2001:db8::/64 is wider than /112") for note in notes)
    assert not any("10.0.0.7" in note for note in notes)
    assert any("pacs.example" in note for note in overview(Gate(gate().scope), NOON).notes)
    ours = Gate(scope(grant("10.0.0.0/28"), infrastructure=(("pacsdb.example", 104), ("db.example", 5432))))
    (note,) = (note for note in overview(ours, NOON).notes if "ours" in note)
    assert note.startswith("pacsdb.example ")


@pytest.mark.parametrize(
    ("address", "reason", "by"),
    [
        ("198.18.0.1", "", "network 198.18.0.0/24 of grant 'wide'"),
        ("::ffff:9.9.9.9", "", "network 8.0.0.0/6 of grant 'wide'"),
        ("10.0.0.1", "", "network 10.0.0.0/28 of grant 'small'"),
        ("10.0.0.7", "excluded", "exclusion 10.0.0.7/32 of grant 'small'"),
        ("10.0.0.8", "window", "network 10.0.0.0/28 of grant 'small' and network 10.0.0.8/29 of zone 'shut'"),
        ("10.0.1.1", "special_purpose", "10.0.0.0/8 (private use)"),
        ("198.18.0.9", "excluded", "infrastructure 198.18.0.9:104"),
        ("2001:db8::5", "", "name pacs.example of grant 'small'"),
        ("2001:db8::6", "", "network 2001:db8::/64 of grant 'small'"),
        ("12.0.0.0", "no_grant", ""),
    ],
)
def test_an_account_names_what_decided(address: str, reason: str, by: str) -> None:
    answer = account(gate(), ip_address(address), 104)
    assert (answer.reason, answer.decided_by, answer.permitted) == (reason, by, not reason)
    assert answer.explanation


def test_every_zone_around_an_address_is_counted_and_named() -> None:
    zones = (
        zone("10.0.0.0/24", name="outer", window=Window.parse("22:00-05:00 UTC")),
        zone("10.0.0.64/28", name="inner", gap_seconds=1.0),
    )
    overlapping = Gate(scope(grant("10.0.0.0/24"), zones=zones), clock=Clock())

    view, answer = overview(overlapping, NOON), account(overlapping, ip_address("10.0.0.65"), 104)

    assert [line.addresses.ipv4 for line in view.zones] == [256, 16]
    assert view.permitted_now == Sum()
    assert answer.explanation == "zone 'outer' is only open 22:00-05:00 UTC"
    zones_named = "network 10.0.0.64/28 of zone 'inner' and network 10.0.0.0/24 of zone 'outer'"
    assert answer.decided_by == f"network 10.0.0.0/24 of grant 'one' and {zones_named}"


def test_of_many_exclusions_without_effect_the_number_is_told() -> None:
    idle = [f"172.16.{index}.0/24" for index in range(12)]
    many = Gate(scope(grant("10.0.0.0/24", id="g", exclude=["10.0.0.7", *idle])), clock=Clock())
    notes = overview(many, NOON).notes
    assert len(notes) == 11
    assert notes[9] == "exclusion 172.16.9.0/24 of grant 'g' covers nothing that is granted"
    assert notes[10] == "2 more exclusions of grant 'g' cover nothing that is granted"
