"""The truth of the estate held against a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def compare(truth: Sequence[Mapping[str, Any]], report: Mapping[str, Any]) -> list[str]:
    """What a report (`leadapron/report/1`) says differently from the truth, in plain words; empty when all is found."""
    services = {
        (service["endpoint"]["address"], service["endpoint"]["port"], service["resource"]): service
        for service in report["services"]
    }
    differences: list[str] = []
    for expected in truth:
        place = f"{expected['address']}:{expected['port']} ({expected['what']})"
        if expected["resource"] is not None:
            service = services.pop((expected["address"], expected["port"], expected["resource"]), None)
            if service is None:
                differences.append(f"{place}: no service was found")
                continue
            differences += [f"{place}: {what}" for what in _service(expected, service)]
        differences += [f"{place}: {what}" for what in _unknown(expected, report["unknowns"])]
    differences += [f"{address}:{port}: a service that does not exist" for address, port, _ in services]
    return differences


def _service(expected: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[str]:
    for name, verdict in expected["access"].items():
        if service["access"][name] != verdict:
            yield f"{name} is {service['access'][name]}, in truth {verdict}"
    for name, count in service["counts"].items():
        if name not in expected["counts"]:
            continue
        value, kind = expected["counts"][name]
        if count is None:
            yield f"{name} were not counted"
        elif count["kind"] != kind or (count["value"] != value if kind == "exact" else count["low"] < value):
            yield f"{name} are {count['kind']} {count['value']}, in truth {kind} {value}"


def _unknown(expected: Mapping[str, Any], unknowns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if expected["unknown"] is None:
        return
    stage, reason = expected["unknown"]
    for unknown in unknowns:
        is_there = expected["address"] in unknown["endpoint"] or reason == "middlebox"
        if is_there and (unknown["stage"], unknown["reason"]) == (stage, reason):
            return
    yield f"no unknown at {stage} with reason {reason}"
