"""`leadapron verify` on a server that changes: what closes a finding, what does not, and that nothing else is asked."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import leadapron

from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint
from leadapron.store.store import Store
from listening import listening
from scope_file import write_scope

OPEN = Behaviour(archives={"": made_up(5, 3)})
KNOWS_CALLERS = dataclasses.replace(OPEN, calling=frozenset({"FRIEND"}))
KNOWS_ITSELF = dataclasses.replace(OPEN, called=frozenset({"PACS"}))


class Place:
    """Two open servers on one port, audited once; the first one changes, and goes away with `stack`."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.server, self.other = Server(OPEN), Server(OPEN)
        (second,) = stack.enter_context(listening(self.other.serve))
        self.elsewhere = second
        self.first = stack.enter_context(contextlib.ExitStack())
        (self.endpoint,) = self.first.enter_context(listening(self.server.serve, places=[("127.88.3.1", second.port)]))
        self.write_scope()
        assert leadapron(folder, "audit", self.scope, "--quiet").returncode == 1
        self.asked = dict(self.other.asked)

    def write_scope(self, **changes: object) -> None:
        networks = [f"{endpoint.address}/32" for endpoint in (self.endpoint, self.elsewhere)]
        options = {"networks": networks, "ports": [self.endpoint.port], "called_aets": ("PACS",), **changes}
        self.scope = write_scope(self.folder / "scope.toml", **options)  # type: ignore[arg-type]

    def findings(self) -> dict[tuple[str, str], dict[str, str]]:
        """By control and address: as the latest audit left them."""
        text = leadapron(self.folder, "report", "-f", "csv", "--rows", "findings").stdout
        return {(row["control"], row["address"]): row for row in csv.DictReader(io.StringIO(text))}

    def key(self, control: str, endpoint: Endpoint | None = None) -> str:
        return self.findings()[control, str((endpoint or self.endpoint).address)]["key"]

    def verify(self, control: str, *options: str) -> tuple[int, str]:
        ended = leadapron(self.folder, "verify", self.key(control), self.scope, "--quiet", *options)
        assert self.other.asked == self.asked, "a server was asked that the finding is not about"
        assert not ended.stderr, ended.stderr
        return ended.returncode, ended.stdout

    def runs(self) -> list[str]:
        with Store.open(f"sqlite:///{self.folder / 'data' / 'leadapron.db'}") as store:
            return [run.kind for run in store.runs()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with contextlib.ExitStack() as stack:
        yield Place(tmp_path, stack)


def test_what_is_still_broken_is_open_and_exits_with_1(place: Place) -> None:
    code, text = place.verify("LA-11")

    assert code == 1
    assert text.splitlines()[0].endswith(f"at {place.endpoint} is still open.")
    assert "  Called title: any title\n    List what is stored: Yes." in text
    assert place.runs() == ["verify", "audit"]


def test_a_refusal_closes_it_and_the_next_audit_goes_on_from_there(place: Place) -> None:
    elsewhere = place.findings()["LA-11", str(place.elsewhere.address)]
    place.server.behaviour = KNOWS_CALLERS

    code, text = place.verify("LA-11", "--json")

    result = json.loads(text)
    assert (code, result["status"], result["run_status"]) == (0, "closed", "complete")
    report = result["report"]
    assert (report["run"]["kind"], report["run"]["ports"]) == ("verify", [place.endpoint.port])
    assert (report["totals"]["endpoints_tried"], len(report["services"])) == (1, 1)
    assert elsewhere["key"] not in {finding["key"] for finding in report["findings"]}, "it speaks of its endpoint only"
    assert "2 of 2" in leadapron(place.folder, "show").stdout.splitlines()[0], "show is about the latest audit"

    leadapron(place.folder, "audit", place.scope, "--quiet")
    statuses = {key: row["status"] for key, row in place.findings().items() if key[0] == "LA-11"}
    assert statuses == {
        ("LA-11", str(place.endpoint.address)): "closed",
        ("LA-11", str(place.elsewhere.address)): "open",
    }


def test_a_title_that_no_longer_works_closes_nothing_while_another_does(place: Place) -> None:
    place.server.behaviour = KNOWS_ITSELF

    code, text = place.verify("LA-11")

    assert code == 3
    assert "could not be settled, and stands as not observed." in text


def test_what_was_closed_before_is_not_said_to_be_refused_when_it_is_not(place: Place) -> None:
    place.server.behaviour = KNOWS_CALLERS
    assert place.verify("LA-11")[0] == 0
    place.server.behaviour = KNOWS_ITSELF

    code, text = place.verify("LA-11", "--json")

    result = json.loads(text)
    assert (code, result["status"], result["refuted"]) == (3, "closed", False)


def test_a_port_that_refuses_closes_what_it_refutes_and_no_more(place: Place) -> None:
    place.first.close()

    assert place.verify("LA-01")[0] == 0
    code, text = place.verify("LA-11")

    assert code == 3
    assert "The port refuses connections." in text
    assert "could not be settled, and stands as not observed." in text


def test_silence_closes_nothing(place: Place) -> None:
    place.first.close()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    where = (str(place.endpoint.address), place.endpoint.port)
    place.stack.enter_context(listening(silent, places=[where]))

    code, text = place.verify("LA-11")

    assert code == 3
    assert "could not be settled" in text
    assert "  Unknown: " in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"networks": ["127.88.200.0/24"]}, "may not be asked"),
        ({"ports": [1]}, "may not be asked"),
        ({"depth": "talk"}, "may not be asked"),
        ({"exclude": ("127.88.3.1/32",)}, "may not be asked"),
    ],
)
def test_what_the_scope_does_not_permit_is_a_mistake_and_touches_nothing(
    place: Place, changes: dict[str, object], said: str
) -> None:
    key, asked = place.key("LA-11"), dict(place.server.asked)
    place.write_scope(**changes)

    ended = leadapron(place.folder, "verify", key, place.scope)

    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
    assert said in ended.stderr
    assert place.server.asked == asked
    assert place.runs() == ["audit"]


def test_another_vantage_and_another_key_are_mistakes(place: Place) -> None:
    key = place.key("LA-11")
    place.scope.write_text(place.scope.read_text().replace('kind = "internet"', 'kind = "office"'))

    elsewhere = leadapron(place.folder, "verify", key, place.scope)
    nothing = leadapron(place.folder, "verify", "f" * 16, place.scope)

    assert (elsewhere.returncode, nothing.returncode) == (2, 2)
    assert "was seen from vantage internet, and this scope looks from office" in elsewhere.stderr
    assert "no finding 'ffffffffffffffff'" in nothing.stderr
    assert place.runs() == ["audit"]


def test_an_owner_in_the_inventory_closes_that_there_was_none(place: Place) -> None:
    inventory = place.folder / "systems.csv"
    known = [f"{each.address},{each.port}," for each in (place.endpoint, place.elsewhere)]
    inventory.write_text("\n".join(["address,port,owner", *known]) + "\n")
    leadapron(place.folder, "audit", place.scope, "--quiet", "--inventory", inventory)
    place.asked = dict(place.other.asked)

    ended = leadapron(place.folder, "verify", place.key("LA-04"), place.scope, "--quiet")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "give it with --inventory FILE" in ended.stderr
    assert place.verify("LA-04", "--inventory", str(inventory))[0] == 1

    inventory.write_text("\n".join(["address,port,owner", known[0] + "Radiology", "198.18.9.9,104,Somebody"]) + "\n")
    code, text = place.verify("LA-04", "--inventory", str(inventory))
    assert code == 0
    assert "198.18.9.9" not in text, "it speaks of its endpoint only"
