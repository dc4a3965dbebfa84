"""Where exposed services stand, as shapes to be drawn. What is known of the world: `data/README.md`.

Coordinates of the world are whole units of its data; the map is drawn on a canvas of `CANVAS` units, whatever part of the
world it shows, so that a style sheet can size labels and dots.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from leadapron.report.view import CountryTotals

LEVELS = (1, 4, 16, 64)
"""The least number of exposed services of each intensity: the same in every report, so that two can be compared."""

CANVAS = 1000
"""The width of the drawing. Its height keeps the proportions of the world."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_CLOSEST, _MARGIN, _WHOLE = 1000, 1.5, 0.6
"""Units: no part of the world narrower than this is shown. How much wider than the countries, and from which share of the
world's width on all of it."""
_SPECK = 12
"""A country that is drawn smaller than this, in units of the canvas, has a dot too."""
_LABEL = 62, 36
"""Room for a label, across and down: one stands in its country where this fits into it, else to its right."""
_DOT = 9
"""The radius of a dot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """`at` stands for it where it is too small to be drawn. `path` is "" for what has a point only; then there are no
    boxes: `box` is that of its main land, `bounds` that of all of it."""

    at: tuple[float, float]
    path: str
    box: Box | None
    bounds: Box | None


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`countries` by ISO 3166-1 alpha-2 code, with XK; `rest` is land that no code stands for."""

    size: tuple[int, int]
    source: str
    countries: Mapping[str, Country]
    rest: Country


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The middle of a text, or where it begins."""

    x: float
    y: float
    is_beside: bool

    def touches(self, other: Label) -> bool:
        return abs(self._middle - other._middle) < _LABEL[0] and abs(self.y - other.y) < _LABEL[1]

    @property
    def _middle(self) -> float:
        return self.x + _LABEL[0] / 2 if self.is_beside else self.x


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A country with exposed services. `path` is in units of the world; the rest in units of the canvas."""

    code: str
    services: int
    level: int
    """1 to 4"""
    path: str
    dot: tuple[float, float] | None
    """where one is drawn"""
    label: Label | None
    """where there is room for one"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldMap:
    """The part of the world in which the marks are. `transform` is SVG's, from units of the world to the canvas."""

    width: int
    height: int
    dot: int
    """the radius of dots"""
    transform: str
    land: str
    """the path of every other country in sight"""
    marks: tuple[Mark, ...]
    unplaced: int
    """exposed services that are not on the map: their country is not known, or not on it"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """The window through which the canvas shows the world."""

    left: float
    top: float
    width: float
    height: float

    @property
    def scale(self) -> float:
        return CANVAS / self.width

    def on_canvas(self, at: tuple[float, float]) -> tuple[float, float]:
        return round((at[0] - self.left) * self.scale, 1), round((at[1] - self.top) * self.scale, 1)

    def shows(self, box: Box) -> bool:
        left, top, right, bottom = box
        return (
            left < self.left + self.width and right > self.left and top < self.top + self.height and bottom > self.top
        )


@functools.cache
def world() -> World:
    file = resources.files("leadapron.report") / "data" / "world.json"
    data = json.loads(file.read_text("utf-8"))
    width, height = data["size"]
    return World(
        size=(width, height),
        source=data["source"],
        countries={code: _country(about) for code, about in data["countries"].items()},
        rest=_country(data["rest"]),
    )


def world_map(countries: Mapping[str, CountryTotals]) -> WorldMap | None:
    """None where no country of them is on the map."""
    known = world().countries
    placed = {code: part.services for code, part in countries.items() if code in known}
    if not placed:
        return None
    frame = _frame([known[code].box or (*known[code].at, *known[code].at) for code in placed])
    lands = [country for code, country in known.items() if code not in placed]
    return WorldMap(
        width=CANVAS,
        height=round(frame.height * frame.scale),
        dot=_DOT,
        transform=f"scale({frame.scale:.5f}) translate({-frame.left:.0f} {-frame.top:.0f})",
        land="".join(land.path for land in (world().rest, *lands) if land.bounds and frame.shows(land.bounds)),
        marks=_marks(frame, placed),
        unplaced=sum(part.services for part in countries.values()) - sum(placed.values()),
    )


def level(services: int) -> int:
    """0 for none, up to 4."""
    return sum(services >= least for least in LEVELS)


def _country(about: Mapping[str, Any]) -> Country:
    box, bounds = about.get("box"), about.get("bounds")
    x, y = about["at"]
    return Country(
        at=(x, y),
        path=about.get("path", ""),
        box=None if box is None else (box[0], box[1], box[2], box[3]),
        bounds=None if bounds is None else (bounds[0], bounds[1], bounds[2], bounds[3]),
    )


def _frame(boxes: Iterable[Box]) -> _Frame:
    """Around all boxes, in the proportions of the world and inside of it."""
    whole_width, whole_height = world().size
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
    ratio = whole_width / whole_height
    width = max(_CLOSEST, _MARGIN * (right - left), _MARGIN * (bottom - top) * ratio)
    if width > _WHOLE * whole_width:
        return _Frame(left=0, top=0, width=whole_width, height=whole_height)
    height = width / ratio
    return _Frame(
        left=round(min(max((left + right - width) / 2, 0), whole_width - width)),
        top=round(min(max((top + bottom - height) / 2, 0), whole_height - height)),
        width=width,
        height=height,
    )


def _marks(frame: _Frame, placed: Mapping[str, int]) -> tuple[Mark, ...]:
    """Those with the most services last, so that they lie on top; they are also the first to be labelled."""
    labels, marks = list[Label](), list[Mark]()
    for code, services in sorted(placed.items(), key=lambda item: (-item[1], item[0])):
        country = world().countries[code]
        label = _label(frame, country)
        has_room = label.x < CANVAS - _LABEL[0] and not any(label.touches(other) for other in labels)
        if has_room:
            labels.append(label)
        marks.append(
            Mark(
                code=code,
                services=services,
                level=level(services),
                path=country.path,
                dot=frame.on_canvas(country.at) if max(_drawn_size(frame, country)) < _SPECK else None,
                label=label if has_room else None,
            )
        )
    return tuple(reversed(marks))


def _label(frame: _Frame, country: Country) -> Label:
    x, y = frame.on_canvas(country.at)
    width, height = _drawn_size(frame, country)
    if width >= _LABEL[0] and height >= _LABEL[1]:
        return Label(x=x, y=y, is_beside=False)
    right = x if country.box is None else frame.on_canvas((country.box[2], 0))[0]
    return Label(x=round(max(right, x + _DOT) + _DOT / 2, 1), y=y, is_beside=True)


def _drawn_size(frame: _Frame, country: Country) -> tuple[float, float]:
    """Of its main land, on the canvas."""
    if country.box is None:
        return 0, 0
    left, top, right, bottom = country.box
    return (right - left) * frame.scale, (bottom - top) * frame.scale
