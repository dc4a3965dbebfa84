from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_estate import exposed, make_view
from test_html import Page

from leadapron.model import Count, Counts, Owner
from leadapron.report.html import render_html
from leadapron.report.messages import LANGUAGES, messages
from leadapron.report.view import CountryTotals
from leadapron.report.worldmap import CANVAS, LEVELS, WorldMap, level, world, world_map

DATA = resources.files("leadapron.report") / "data"
CODES = sorted(world().countries)


def drawn(services: Mapping[str, int]) -> WorldMap:
    found = world_map({code: CountryTotals(services=count, images=None) for code, count in services.items()})
    assert found is not None
    return found


def page(*countries: str, language: str = "en") -> str:
    services = [
        exposed(
            f"198.18.0.{number}", owner=Owner(grant="g", country=country), counts=Counts(images=Count.exact(number))
        )
        for number, country in enumerate(countries, 1)
    ]
    return render_html(make_view(services), language)


def test_the_data_say_what_they_are_and_stay_small() -> None:
    text, about = (DATA / "world.json").read_text("utf-8"), (DATA / "README.md").read_text("utf-8")
    assert len(text) < 150_000
    package, version = re.findall(r"by ([\w-]+) ([\d.]+)$", world().source)[0]
    assert re.search(rf"\[{package}\]\(\S+\) {re.escape(version)} ", about)


@pytest.mark.parametrize("code", CODES)
def test_each_country_has_a_point_and_what_is_drawn_of_it_is_on_the_map(code: str) -> None:
    country, (width, height) = world().countries[code], world().size
    assert re.fullmatch("[A-Z]{2}", code)
    assert 0 <= country.at[0] <= width
    assert 0 <= country.at[1] <= height
    assert (country.box is None) == (country.bounds is None) == (country.path == "")
    if country.box and country.bounds:
        assert re.fullmatch("[Mlz0-9 -]+", country.path)
        left, top, right, bottom = country.bounds
        assert 0 <= left <= country.box[0] < country.box[2] <= right <= width
        assert top <= country.box[1] < country.box[3] <= bottom


@pytest.mark.parametrize("code", CODES)
def test_each_country_is_seen_where_it_is_exposed(code: str) -> None:
    found = drawn({code: 1})
    (mark,) = found.marks
    assert mark.path or mark.dot
    assert mark.label
    for x, y in filter(None, (mark.dot, (mark.label.x, mark.label.y))):
        assert 0 <= x <= CANVAS
        assert 0 <= y <= found.height


def test_the_countries_of_the_standard_are_all_there() -> None:
    assert len(set(CODES) - {"XK"}) == 248  # all of ISO 3166-1 but AQ
    assert {"DE", "SG", "MT", "HK", "GF", "BQ", "XK"} <= set(CODES)
    assert "AQ" not in CODES


@pytest.mark.parametrize(
    ("services", "expected"), [(0, 0), (1, 1), (3, 1), (4, 2), (15, 2), (16, 3), (63, 3), (64, 4), (10**6, 4)]
)
def test_the_intensity_is_logarithmic(services: int, expected: int) -> None:
    assert level(services) == expected
    assert [later // before for before, later in itertools.pairwise(LEVELS)] == [4, 4, 4]


@pytest.mark.parametrize("code", ["", "XX", "AQ", "de", "<b>"])
def test_what_has_no_place_is_left_out_and_counted(code: str) -> None:
    found = drawn({"DE": 2, code: 3})
    assert [mark.code for mark in found.marks] == ["DE"]
    assert found.unplaced == 3
    assert world_map({code: CountryTotals(services=1, images=None)}) is None


def test_neighbours_are_shown_from_nearby_and_the_whole_world_from_afar() -> None:
    near, far = drawn({"DE": 7, "AT": 3, "CH": 3}), drawn({"US": 1, "JP": 1})
    assert float(near.transform.split(")")[0].removeprefix("scale(")) >= 0.9
    assert far.transform == "scale(0.10000) translate(0 0)"
    assert world().countries["PL"].path in near.land
    assert world().countries["AU"].path not in near.land
    assert world().countries["AU"].path in far.land
    assert all(mark.label and not mark.dot for mark in near.marks)


def test_what_is_too_small_to_be_seen_has_a_dot() -> None:
    by_code = {mark.code: mark for mark in drawn({"SG": 1, "LU": 1, "US": 1}).marks}
    assert {code for code, mark in by_code.items() if mark.dot} == {"SG", "LU"}
    assert [mark.dot for mark in drawn({"LU": 1}).marks] == [None]


@given(st.dictionaries(st.sampled_from([*CODES, "", "XX"]), st.integers(1, 500), min_size=1))
def test_marks_lie_on_the_canvas_and_no_service_is_lost(services: dict[str, int]) -> None:
    found = world_map({code: CountryTotals(services=count, images=None) for code, count in services.items()})
    if found is None:
        assert set(services) <= {"", "XX"}
        return
    assert sum(mark.services for mark in found.marks) + found.unplaced == sum(services.values())
    labels = [mark.label for mark in found.marks if mark.label]
    assert not any(one.touches(other) for one in labels for other in labels if one is not other)
    for mark in found.marks:
        assert 1 <= mark.level <= 4
        assert mark.dot is None or (0 <= mark.dot[0] <= CANVAS and 0 <= mark.dot[1] <= found.height)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("countries", "has_section", "has_map"),
    [
        (("DE",), False, False),
        (("DE", "DE"), False, False),
        (("", ""), False, False),
        (("", "XX"), True, False),
        (("DE", ""), True, True),
        (("DE", "AT"), True, True),
    ],
)
def test_there_is_a_map_where_there_is_something_to_compare(
    language: str, countries: tuple[str, ...], has_section: bool, has_map: bool
) -> None:
    text, t = page(*countries, language=language), messages(language)
    assert ('id="countries"' in text) == has_section
    assert ('<svg class="map"' in text) == has_map
    left_out = t.plural("report.map_unplaced", 1, count="1")
    assert (left_out in text) == (countries == ("DE", ""))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_map_has_a_title_and_a_description(language: str) -> None:
    parsed = Page(page("DE", "SG", "", language=language))
    (svg,) = (one for one in parsed.all("svg") if one.get("role") == "img")
    ids = {attributes["id"]: tag for tag, attributes in parsed.elements if "id" in attributes}
    assert [ids[name] for name in (svg["aria-labelledby"] or "").split()] == ["title", "desc"]
    text = " ".join(parsed.texts)
    assert messages(language)("report.map_title") in text
    assert messages(language).plural("report.map_country", 1, country="SG", count="1") in text


def test_the_section_says_how_images_are_spread() -> None:
    text = page("DE", "DE", "AT", "")
    assert "4 exposed services, in 2 countries." in text
    assert "Added up, they show 10 images." in text
    assert "Half of the images counted lie on 2 of 4 services; the median service shows 2 images." in text


def test_services_without_a_number_of_images_say_nothing_of_their_spread() -> None:
    services = [
        exposed(f"198.18.0.{number}", owner=Owner(grant="g", country=country))
        for number, country in enumerate(("DE", "AT"))
    ]
    text = render_html(make_view(services))
    assert "2 exposed services, in 2 countries." in text
    assert "Added up, they show" not in text
    assert "the median service" not in text


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><path d="M0 0"/>', "</svg>", "D\x1bE"])
def test_hostile_text_as_a_country_stands_in_the_table_only(text: str) -> None:
    hostile, harmless = Page(page("DE", text)), Page(page("DE", "XX"))
    assert [(tag, sorted(attributes)) for tag, attributes in hostile.elements] == [
        (tag, sorted(attributes)) for tag, attributes in harmless.elements
    ]
    assert list(hostile.all("path")) == list(harmless.all("path"))


def test_the_same_countries_give_the_same_map_in_any_order() -> None:
    services = {"DE": 7, "AT": 3, "CH": 3, "SG": 1}
    assert drawn(services) == drawn(dict(reversed(services.items())))
