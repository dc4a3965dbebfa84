"""An audit that knows what there should be: who is not in it, whose titles it tries, and what of it nobody saw."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from audits import Place, place
from leadapron.assess.judge import judge
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint, Expected, Observation, VantageKind
from leadapron.pipeline_control import Options
from leadapron.pipeline_inventory import Inventory
from leadapron.pipeline_run import _new
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.store.store import Store
from listening import listening
from scope_file import write_scope

ARCHIVE = made_up(5, 3)


def expected(endpoint: Endpoint, title: str = "", owner: str | None = None) -> Expected:
    return Expected(host=str(endpoint.address), port=endpoint.port, title=title, owner=owner)


def with_inventory(here: Place, *entries: Expected) -> Place:
    """The run exists already, as the command line makes it."""
    with Store.open(f"sqlite:///{here.folder / 's.db'}") as store:
        run = replace(_new(load_scope(here.scope), Options()), inventory=entries)
        store.create_run(run, permutation_key="2." + "5a" * 16)
    return here


def has_la_04(seen: Observation) -> bool:
    return "LA-04" in {finding.control for finding in judge(seen, VantageKind.INTERNET)}


@pytest.mark.parametrize(("owner", "is_broken"), [("Radiology", False), ("", True), (None, False)])
def test_who_is_in_it_is_known_and_owned_or_not(owner: str | None, is_broken: bool, tmp_path: Path) -> None:
    with listening(Server(Behaviour(archives={"": ARCHIVE})).serve, 2) as endpoints:
        here = with_inventory(place(tmp_path, endpoints), expected(endpoints[0], owner=owner))
        _, seen, unknowns = here.run()

    known, unheard_of = seen
    assert unknowns == set()
    assert (known.facts["inventory.known"], known.facts.get("inventory.owned")) == (
        True,
        None if owner is None else bool(owner),
    )
    assert unheard_of.facts["inventory.known"] is False
    assert (has_la_04(known), has_la_04(unheard_of)) == (is_broken, True)


def test_without_one_nobody_is_missing_in_it(tmp_path: Path) -> None:
    with listening(Server(Behaviour(archives={"": ARCHIVE})).serve) as endpoints:
        _, (seen,), _ = place(tmp_path, endpoints).run()
    assert not [name for name in seen.facts if name.startswith("inventory")]
    assert not has_la_04(seen)


def test_its_titles_are_tried_where_that_of_nobody_is_rejected(tmp_path: Path) -> None:
    server = Server(Behaviour(archives={"PACS": ARCHIVE}, called=frozenset({"PACS"})))
    with listening(server.serve) as endpoints:
        here = with_inventory(place(tmp_path, endpoints), expected(endpoints[0], "PACS", "me"))
        _, (seen,), _ = here.run()
    assert (seen.service.resource, seen.exposed) == ("PACS", True)


def test_what_it_names_and_nobody_saw_is_told_with_its_reason(tmp_path: Path) -> None:
    with listening(Server(Behaviour(archives={"": ARCHIVE})).serve) as (here_it_is,):
        with socket.create_server(("127.88.0.1", 0)) as closed:
            shut = Endpoint(address=ip_address("127.88.0.1"), port=closed.getsockname()[1])
        elsewhere = Endpoint(address=ip_address("127.88.9.9"), port=here_it_is.port)
        scope = write_scope(
            tmp_path / "scope.toml", networks=["127.88.0.1/32"], ports=[here_it_is.port, shut.port], extra=""
        )
        entries = [expected(each) for each in (here_it_is, shut, elsewhere)]
        entries.append(Expected(host="lost.example", port=104))
        run, seen, unknowns = with_inventory(Place(tmp_path, scope), *entries).run()

    assert (run.status.value, len(seen)) == ("complete", 1)
    assert unknowns == {
        (f"inventory {shut}", "connect", "refused"),
        (f"inventory {elsewhere}", "connect", "out_of_scope"),
        ("inventory lost.example:104", "connect", "out_of_scope"),
    }


def test_addresses_in_wide_prefixes_are_swept_when_it_names_them(tmp_path: Path) -> None:
    scope = write_scope(tmp_path / "scope.toml", networks=["2001:db8::/64", "10.0.0.0/30"], ports=[104])
    gate = Gate(load_scope(scope))
    named = ["2001:db8::7", "2001:db8:1::7", "10.0.0.1", "10.9.0.1"]
    inventory = Inventory([Expected(host=host, port=104) for host in named], gate.pins)

    assert gate.intervals(6) == []
    seven = int(ip_address("2001:db8::7"))
    assert inventory.added_to(gate.intervals(6), 6, gate) == [(seven, seven)]
    assert inventory.added_to(gate.intervals(4), 4, gate) == gate.intervals(4)


def test_names_count_as_far_as_the_scope_knows_them() -> None:
    pinned = ip_address("10.0.0.9")
    inventory = Inventory([Expected(host="pacs.example", port=104, title="A")], {"pacs.example": (pinned,)})
    assert inventory.titles(Endpoint(address=pinned, port=104)) == ("A",)
    assert inventory.titles(Endpoint(address=pinned, port=105)) == ()
