from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_estate import OWN, exposed, findings_of

from leadapron.errors import InputError
from leadapron.model import Owner
from leadapron.report.owners import NOBODY, By, Group, Observed, chosen, group


@pytest.mark.parametrize(
    ("by", "name", "stem"),
    [
        (By.COUNTRY, "DE", "DE"),
        (By.AS, "AS64500", "AS64500"),
        (By.GRANT, "own-estate-2026", r"own-estate-2026-[0-9a-f]{8}"),
        (By.PARTY, NOBODY, NOBODY),
    ],
)
def test_a_group_of_each_kind(by: By, name: str, stem: str) -> None:
    made = group(OWN, by)
    assert made.name == name
    assert re.fullmatch(stem, made.stem)


@pytest.mark.parametrize("by", By)
def test_nobody_is_a_group_too(by: By) -> None:
    assert group(None, by) == Group(name=NOBODY, stem=NOBODY)
    if by is not By.GRANT:
        assert group(Owner(grant="g"), by) == Group(name=NOBODY, stem=NOBODY)


@pytest.mark.parametrize("country", ["", "de", "DEU", "../", "D\n", "ÄÖ"])
def test_a_country_is_a_code_or_nobody(country: str) -> None:
    assert group(Owner(grant="g", country=country), By.COUNTRY).name == NOBODY


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_stem_is_harmless_and_of_one_name_only(one: str, other: str) -> None:
    stems = [group(Owner(grant="g", party=name), By.PARTY).stem for name in (one, other)]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", stem) for stem in stems)
    assert (stems[0] == stems[1]) == (one == other)


def test_names_that_differ_only_in_what_is_left_out_have_files_of_their_own() -> None:
    parties = ["North & South", "North/South", "north south", "../../etc/passwd", "\u202e", "CON"]
    stems = {group(Owner(grant="g", party=name), By.PARTY).stem.lower() for name in parties}
    assert len(stems) == len(parties)


def test_only_those_that_are_named() -> None:
    there = [Group(name=name, stem=name) for name in ("DE", "AT", "North", "north")]
    assert chosen(there, ()) == set(there)
    assert {each.name for each in chosen(there, ["de", "North"])} == {"DE", "North"}
    with pytest.raises(
        InputError, match=r"^--only 'FR': nothing stands there in this run; there is: AT, DE, North, north$"
    ):
        chosen(there, ["DE", "FR"])
    with pytest.raises(InputError, match=r"there is: none$"):
        chosen([], ["\x1b[31m"])


def test_a_finding_is_its_services_owners() -> None:
    seen = [exposed("198.18.0.1", resource="A"), exposed("198.18.0.1", resource="B"), exposed("198.18.0.2")]
    observed = Observed(seen)
    for finding in findings_of(seen):
        found = observed.of(finding.service)
        assert found is not None
        assert found.service.endpoint == finding.service.endpoint
        assert found.service.resource == finding.service.resource
    (lost,) = {each.service for each in findings_of([exposed("198.18.0.2", resource="GONE")])}
    assert observed.of(lost) is seen[2]
    assert Observed([]).of(lost) is None
