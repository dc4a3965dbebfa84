"""The truth of the estate held against a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from leadapron.model import Endpoint


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
    verdict = (service["genuineness"] or {}).get("verdict")
    if verdict != expected["genuineness"]:
        yield f"genuineness is {verdict}, in truth {expected['genuineness']}"
    present = (service["census"] or {}).get("present", {})
    for keyword, (low, high) in expected["census"].items():
        if service["census"] is None:
            yield "no census was taken"
            break
        if not low <= present.get(keyword, 0) <= high:
            yield f"{keyword} is populated in {present.get(keyword, 0)} records, in truth in {low} to {high}"
    for fact, truth in (("studies_elsewhere", expected["elsewhere"]), ("own_studies", expected["own"])):
        if truth is not None and service["facts"].get(fact, 0) != truth:
            yield f"{fact} are {service['facts'].get(fact, 0)}, in truth {truth}"
    for name, (value, kind) in expected["counts"].items():
        count = service["counts"].get(name)
        if count is None:
            yield f"{name} were not counted"
        elif count["kind"] != kind or (count["value"] != value if kind == "exact" else count["low"] < value):
            yield f"{name} are {count['kind']} {count['value']}, in truth {kind} {value}"


def _unknown(expected: Mapping[str, Any], unknowns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if expected["unknown"] is None:
        return
    stage, reason = expected["unknown"]
    for unknown in unknowns:
        is_there = _covers(unknown["endpoint"], ip_address(expected["address"]), expected["port"])
        if is_there and (unknown["stage"], unknown["reason"]) == (stage, reason):
            return
    yield f"no unknown at {stage} with reason {reason}"


def _covers(place: str, address: IPv4Address | IPv6Address, port: int) -> bool:
    """Whether `place`, an endpoint or a range of addresses on a port, as the report writes them, has the endpoint."""
    addresses, _, of_range = place.partition(" port ")
    if not of_range:
        return place == str(Endpoint(address=address, port=port))
    first, _, last = addresses.partition("-")
    low, high = ip_address(first), ip_address(last or first)
    return of_range == str(port) and low.version == address.version and int(low) <= int(address) <= int(high)
