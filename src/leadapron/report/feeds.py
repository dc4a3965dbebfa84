"""The findings that stand, divided by whom they are handed over to: what a CERT sends to providers. Pure."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from leadapron.model import Address, DispositionKind, Finding, Observation, Run
from leadapron.report.owners import By, Group, Observed, chosen
from leadapron.report.view import View, is_active


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finding that the run saw, with what was seen of its service."""

    finding: Finding
    seen: Observation | None
    first_seen: dt.datetime | None
    """since when it stands in this group: of a service that came from a place of somebody else, since it came"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Of one group, the worst first. Nothing in it is about anybody else, not even a number."""

    group: Group
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    run: Run
    by: By
    feeds: tuple[Feed, ...]
    """sorted by the name of the group; none is empty"""
    false_positives: int
    """findings that are left out, since somebody decided that they are none, and that holds today"""
    unknowns: int
    """places that the run could not see: a group without a feed is not clean"""


def feeds(view: View, by: By, only: Iterable[str] = ()) -> Feeds:
    """`only`: names of groups; all, where none is named. Raises InputError for one without findings."""
    observed = Observed(service.observation for service in view.services)
    active = [finding for finding in view.findings if is_active(finding, view.run)]
    standing = [finding for finding in active if not _is_none(view, finding)]
    by_group: defaultdict[Group, list[Finding]] = defaultdict(list)
    for finding in standing:
        by_group[observed.group(finding, by)].append(finding)
    return Feeds(
        run=view.run,
        by=by,
        feeds=tuple(_feed(each, by_group[each], observed) for each in sorted(chosen(by_group, only))),
        false_positives=len(active) - len(standing),
        unknowns=sum(unknown.count for unknown in view.unknowns),
    )


def _is_none(view: View, finding: Finding) -> bool:
    """Accepted and planned ones stand all the same."""
    decision = view.decisions.get(finding.key)
    if decision is None or decision.is_expired:
        return False
    return decision.disposition.kind is DispositionKind.FALSE_POSITIVE


def _feed(group: Group, findings: list[Finding], observed: Observed) -> Feed:
    addresses = {finding.service.endpoint.address for finding in findings}
    return Feed(
        group=group,
        entries=tuple(
            Entry(finding=finding, seen=observed.of(finding.service), first_seen=_first_seen(finding, addresses))
            for finding in findings
        ),
    )


def _first_seen(finding: Finding, addresses: set[Address]) -> dt.datetime | None:
    came_from = finding.moved_from
    if came_from is None or came_from.endpoint.address in addresses:
        return finding.first_seen
    return finding.last_seen
