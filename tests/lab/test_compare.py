"""The comparison finds each way in which a report can differ from the truth, and no other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from leadapron.lab import estate
from leadapron.lab.compare import compare

PORT = 11112
TRUTH = estate.truth(list(estate.hosts(7)), dict.fromkeys(("dicom", "http", "ftp", "buckets"), PORT))
Report = dict[str, Any]


def report() -> Report:
    """What an audit that found everything would say."""
    services = [
        {
            "endpoint": {"address": row["address"], "port": PORT},
            "resource": row["resource"],
            "access": dict(row["access"]),
            "counts": {"patients": None}
            | {name: {"kind": kind, "value": value, "low": value} for name, (value, kind) in row["counts"].items()},
            "facts": {"studies_elsewhere": row["elsewhere"] or 0, "own_studies": row["own"]},
            "genuineness": row["genuineness"] and {"verdict": row["genuineness"]},
            "census": {"sampled": 25, "present": {name: high for name, (_, high) in row["census"].items()}},
        }
        for row in TRUTH
        if row["resource"] is not None
    ]
    unknowns = [
        {"endpoint": f"{row['address']}:{PORT}", "stage": row["unknown"][0], "reason": row["unknown"][1]}
        for row in TRUTH
        if row["unknown"] and row["what"] != "middlebox"
    ]
    box = {"endpoint": f"127.77.20.40-127.77.20.59 port {PORT}", "stage": "handshake", "reason": "middlebox"}
    return {"services": services, "unknowns": [*unknowns, box]}


def service(found: Report, address: str) -> dict[str, Any]:
    (only,) = [each for each in found["services"] if each["endpoint"]["address"] == address]
    return only


def unknown(found: Report, address: str) -> dict[str, Any]:
    (only,) = [each for each in found["unknowns"] if each["endpoint"].startswith(address)]
    return only


def test_the_truth_is_no_difference() -> None:
    found = report()
    assert compare(TRUTH, found) == []
    service(found, "127.77.20.3")["counts"]["studies"]["low"] += 50
    assert compare(TRUTH, found) == [], "a better bound is no difference"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r["services"].remove(service(r, "127.77.20.1")), "127.77.20.1:11112 (open archive): no service"),
        (lambda r: service(r, "127.77.20.1").update(resource="OTHER"), "127.77.20.1:11112: a service that does not"),
        (lambda r: service(r, "127.77.20.7")["access"].update(list="proven"), "list is proven, in truth refused"),
        (lambda r: service(r, "127.77.20.1")["counts"]["images"].update(value=1), "images are exact 1, in truth exact"),
        (lambda r: service(r, "127.77.20.3")["counts"]["studies"].update(kind="exact"), "in truth bound 101"),
        (lambda r: service(r, "127.77.20.3")["counts"]["studies"].update(low=100), "studies are bound 101"),
        (lambda r: service(r, "127.77.20.9")["counts"].update(worklist=None), "worklist were not counted"),
        (lambda r: service(r, "127.77.20.9")["counts"].pop("worklist"), "worklist were not counted"),
        (lambda r: service(r, "127.77.20.14").update(genuineness=None), "genuineness is None, in truth test"),
        (
            lambda r: service(r, "127.77.20.2")["facts"].update(studies_elsewhere=1),
            "studies_elsewhere are 1, in truth 400",
        ),
        (lambda r: service(r, "127.77.20.20")["facts"].update(own_studies=0), "own_studies are 0, in truth 400"),
        (lambda r: service(r, "127.77.20.1").update(census=None), "no census was taken"),
        (lambda r: service(r, "127.77.20.1")["census"]["present"].pop("PatientName"), "PatientName is populated in 0"),
        (lambda r: service(r, "127.77.20.4")["census"]["present"].update(PatientAddress=7), "in truth in"),
        (lambda r: unknown(r, "127.77.20.12").update(reason="refused"), "no unknown at handshake with reason timeout"),
        (lambda r: unknown(r, "127.77.20.3:").update(endpoint="127.77.20.33:11112"), "127.77.20.3:11112"),
        (lambda r: unknown(r, "127.77.20.3:").update(endpoint="127.77.20.3:111"), "with reason limit"),
        (lambda r: unknown(r, "127.77.20.40").update(endpoint="127.77.20.40-127.77.20.58 port 11112"), "20.59:11112"),
        (lambda r: unknown(r, "127.77.20.40").update(endpoint="127.77.20.40-127.77.20.59 port 104"), "20.40:11112"),
    ],
)
def test_a_difference_is_said_with_its_place(change: Callable[[Report], object], says: str) -> None:
    found = copy.deepcopy(report())
    change(found)
    assert any(says in line for line in compare(TRUTH, found))
