"""One audit through the command line, as its JSON report and its store have it, measured from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real_servers import Namespace

from leadapron.model import Endpoint, Reason, Stage
from leadapron.scope.doors import doors
from leadapron.store.store import Store
from matrix.cells import Cell
from scope_file import write_scope

Reasons = frozenset[tuple[Stage, Reason]]
TITLES = ("OPENA",)
"""Called AE titles that the owner of the servers tells."""
OF_VERSIONS = frozenset({"LA-36"})
"""Controls about the version that is installed, which is nothing that a server was given."""
PATIENTS = (b"SYNTHETIC", b"CANARY", b"BIRGIT")
"""Parts of every name of the servers' made-up patients, files, folders and banners."""
COUNTED = ("studies", "images")
VERDICTS = ("talk", "list", "read", "write")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A service of the report."""

    service: Mapping[str, Any]
    why: Reasons
    controls: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Audited:
    services: Mapping[tuple[str, int], Mapping[tuple[str, str], Shown]]
    """by address and port, then by protocol and resource"""
    unknowns: Mapping[str, Reasons]
    """of the report, by place"""
    seconds: float
    mebibytes: float
    """the most that it held"""

    def differences(self, door: str, server: str, here: Endpoint, cells: Sequence[Cell]) -> list[str]:
        """What of an endpoint is not as it should be."""
        seen = dict(self.services.get((str(here.address), here.port), {}))
        found: list[str] = []
        for cell in cells:
            key = (cell.protocol or door, cell.resource or "")
            if cell.resource is not None and key not in seen:
                found.append(f"{key}: no such service")
            elif cell.resource is not None:
                found += [f"{key[0]} {key[1] or 'itself'}: {each}" for each in _of_service(cell, seen.pop(key))]
        found += [f"{key}: nobody knows of it: {shown}" for key, shown in seen.items()]
        told = frozenset(why for cell in cells for why in cell.why | cell.beside)
        found += _differ("the report's unknowns", told, self.unknowns.get(str(here), frozenset()))
        return [f"{server}: {each}" for each in found]


def _of_service(cell: Cell, shown: Shown) -> list[str]:
    access, counts = shown.service["access"], shown.service["counts"]
    found = _differ("reach", "proven", access["reach"])
    for name in VERDICTS:
        found += _differ(name, getattr(cell, name), access[name])
    for name in COUNTED:
        number, count = getattr(cell, name), counts[name]
        if (number is None) != (count is None) or (number is not None and not number.is_met_by(count)):
            found.append(f"{name}: {count} in place of {number}")
    return found + _differ("why", cell.why, shown.why) + _differ("controls", cell.controls, shown.controls)


def _differ(what: str, truth: Any, shown: Any) -> list[str]:
    return [] if truth == shown else [f"{what}: {_said(shown)} in place of {_said(truth)}"]


def _said(value: Any) -> str:
    return str(sorted(map(str, value)) if isinstance(value, frozenset) else value)


def audit(
    inside: Namespace, folder: Path, door: str, endpoints: Sequence[Endpoint], named: Sequence[str], extra: str = ""
) -> Audited:
    """Of these endpoints, or of buckets that are `named`, to the census and with a blank login."""
    folder.mkdir()
    scope = write_scope(
        folder / "scope.toml",
        networks=[] if named else sorted({f"{each.address}/32" for each in endpoints}),
        ports={"dicom": [104]} if named else {doors()[door].over or door: sorted({each.port for each in endpoints})},
        depth="census",
        cleartext_census=True,
        called_aets=TITLES,
        granted=f"blank_login = true\nbuckets = {list(named)}",
        extra=extra,
    )
    command = [sys.executable, "-m", "leadapron", "audit", scope, "--store", f"sqlite:///{folder}/s.db", "--json"]
    environment = {**os.environ, "LEADAPRON_DATA": str(folder / "data")}
    began = time.monotonic()
    output, code, mebibytes = _measured(inside.command(*command, "--quiet"), folder, environment)
    assert code in (0, 1), f"{code}: {(folder / 'errors').read_text()}"
    for file in folder.rglob("*"):
        told = [patient for patient in PATIENTS if file.is_file() and patient in file.read_bytes()]
        assert not told, f"{file.name}: {told}"
    return _read(folder, json.loads(output), time.monotonic() - began, mebibytes)


def _measured(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[str, int, float]:
    """What it printed, its exit code, and the most memory that it was seen to hold."""
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        most = 0
        while process.poll() is None:
            # Not the usage that `wait4` tells: what a process held before its exec, as a copy of ours, counts there too.
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                most = max([most, *map(int, re.findall(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE))])
            time.sleep(0.02)
    return (folder / "output").read_text(), process.returncode, most / 1024


def _read(folder: Path, report: Mapping[str, Any], seconds: float, mebibytes: float) -> Audited:
    """The report merges reasons by endpoint: which of its services has which is in the store."""
    with Store.open(f"sqlite:///{folder}/s.db") as store:
        (run,) = store.runs()
        why = {
            each.service: frozenset((un.stage, un.reason) for un in each.unknowns)
            for each in store.observations(run.id)
        }
    by_place = {
        (str(at.endpoint.address), at.endpoint.port, at.protocol, at.resource): found for at, found in why.items()
    }
    controls: defaultdict[tuple[str, int, str, str], set[str]] = defaultdict(set)
    for finding in report["findings"]:
        at = finding["service"]
        controls[at["address"], at["port"], at["protocol"], at["resource"]].add(finding["control"])
    services: defaultdict[tuple[str, int], dict[tuple[str, str], Shown]] = defaultdict(dict)
    for service in report["services"]:
        at = service["endpoint"]
        place = (at["address"], at["port"], service["protocol"], service["resource"])
        shown = Shown(service=service, why=by_place[place], controls=frozenset(controls.pop(place, ())) - OF_VERSIONS)
        services[place[:2]][place[2:]] = shown
    assert not controls, f"findings of no service: {dict(controls)}"
    unknowns: defaultdict[str, set[tuple[Stage, Reason]]] = defaultdict(set)
    for each in report["unknowns"]:
        unknowns[each["endpoint"]].add((Stage(each["stage"]), Reason(each["reason"])))
    return Audited(
        services=services,
        unknowns={place: frozenset(found) for place, found in unknowns.items()},
        seconds=seconds,
        mebibytes=mebibytes,
    )
