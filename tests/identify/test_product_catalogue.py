"""The catalogue of products: what ships is sound, and a file that is not gives one error of one line."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import InputError
from leadapron.identify.catalogue import Fingerprint, fingerprints, parse_product
from leadapron.identify.match import CONFIDENCES, MAX_TITLES, default_titles, match

FOLDER = resources.files("leadapron.protocols") / "dicom" / "products"
FILES = sorted(file.name for file in FOLDER.iterdir())
each_entry = pytest.mark.parametrize(
    "entry",
    fingerprints(),
    ids=[f"{entry.id}-{entry.uid_prefix}-{place}" for place, entry in enumerate(fingerprints())],
)

PAGE = (Path(__file__).parents[2] / "docs" / "products.md").read_text("utf-8")

GOOD = b"""\
name = "A product"
role = "product"
default_titles = ["APRODUCT"]
titles_source = "its manual, page 1"

[[fingerprint]]
uid_prefix = "1.2.3"
version = 'A_(\\d)(\\d)'
confidence = "source"
source = "its source, version.h"
example_uid = "1.2.3.4"
example_version = "A_12"
example_reads = "1.2"
"""


def test_every_file_is_a_product_and_every_product_is_named_after_its_file() -> None:
    assert sorted({f"{entry.id}.toml" for entry in fingerprints()}) == FILES


def test_no_two_products_have_one_name() -> None:
    assert len({entry.name for entry in fingerprints()}) == len(FILES)


@each_entry
def test_an_entry_says_where_it_is_known_from_and_how(entry: Fingerprint) -> None:
    assert entry.confidence in CONFIDENCES
    assert "/" in entry.source or "." in entry.source, "a place that can be looked up"
    assert "recall" not in entry.source


@each_entry
def test_the_example_of_an_entry_is_recognised(entry: Fingerprint) -> None:
    uid, version_name, reads = entry.examples
    found = match(uid, version_name.encode() or None, called_titles=entry.default_titles)

    assert entry.name in (found.name, *found.candidates) or found.toolkit.startswith(entry.name)
    others = {other.name for other in fingerprints() if other.uid_prefix == entry.uid_prefix and other.id != entry.id}
    if not others.intersection(found.candidates) and not entry.ambiguous:
        assert entry.name == found.name or found.toolkit.startswith(entry.name)
        shown = found.toolkit.removeprefix(entry.name).strip() if entry.role == "toolkit" else found.version
        assert shown == reads
    assert len(version_name) <= 16, "PS3.7 Table D.3-3: a version name has 16 characters at most"


@each_entry
def test_an_entry_does_not_fit_a_foreign_version_name(entry: Fingerprint) -> None:
    if entry.version is not None:
        assert entry.version.fullmatch(b"") is None
        assert entry.version.fullmatch(b"?ANOTHER PRODUCT") is None


@each_entry
def test_a_product_has_its_line_in_the_documentation(entry: Fingerprint) -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{entry.id}` |")]
    assert f"| {entry.name} | {entry.role} |" in line
    assert f"`{entry.uid_prefix}`" in line
    assert entry.confidence in line
    assert all(f"`{title}`" in line for title in entry.default_titles)


def test_the_documentation_has_no_line_too_many() -> None:
    documented = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert [f"{name}.toml" for name in documented] == FILES


def test_the_example_of_the_documentation_is_a_product() -> None:
    _, _, rest = PAGE.partition("```toml\n")
    assert parse_product("example.toml", rest.partition("```")[0].encode())


def test_what_one_cannot_tell_apart_stays_a_tie() -> None:
    assert match("1.2.840.113845.1.1", b"Syn7,3,0,1").candidates == ("DICOMHawk", "Fujifilm Synapse PACS")
    assert match("1.2.840.113845.1.1", b"Syn7,3,0,258").name == "Fujifilm Synapse PACS"
    assert match("1.2.826.0.1.3680043.9.7133.1.1", b"GODICOM_1_1").candidates == ("Dicompot",)
    assert match("1.2.40.0.13.1.3", b"dcm4che-5.31.0").candidates == ("dcm4chee",)


@pytest.mark.parametrize(
    ("uid", "version_name", "toolkit"),
    [
        ("1.2.40.0.13.1.1", b"dcm4che-2.0.28", "dcm4che 2 2.0.28"),
        ("1.2.40.0.13.1.1", b"dcm4che-1.4.29", "dcm4che 1 1.4.29"),
        ("1.2.40.0.13.1.1.1", b"dcm4che-1.4-JP", "dcm4che 1 1.4"),
        ("1.2.40.0.13.1.3", b"dcm4che-5.31.0-S", "dcm4che 3 or 5 5.31.0"),
        ("1.2.40.0.13.1.3", b"dcm4che-3.3.8", "dcm4che 3 or 5 3.3.8"),
        ("1.2.826.0.1.3680043.9.3811.0.9.0", b"PYNETDICOM3_090", "pynetdicom 0.9.0"),
        ("1.2.826.0.1.3680043.8.641", b"RUBY_DCM_0.7.7b", "ruby-dicom 0.7.7b"),
        ("1.3.6.1.4.1.30071.8", b"fo-dicom 4.0.8", "fo-dicom 4.0.8"),
    ],
)
def test_versions_that_were_seen_are_read(uid: str, version_name: bytes, toolkit: str) -> None:
    assert match(uid, version_name).toolkit == toolkit


def test_documented_titles_are_few_enough_to_try_them_all() -> None:
    titles = {title for entry in fingerprints() for title in entry.default_titles}
    assert set(default_titles()) == titles
    assert len(titles) <= MAX_TITLES


def test_a_good_file_is_read_whole() -> None:
    (entry,) = parse_product("a-product.toml", GOOD)

    assert (entry.id, entry.name, entry.role) == ("a-product", "A product", "product")
    assert (entry.uid_prefix, entry.confidence, entry.source) == ("1.2.3", "source", "its source, version.h")
    assert entry.version is not None
    assert entry.version.pattern == rb"A_(\d)(\d)"
    assert (entry.default_titles, entry.titles_source) == (("APRODUCT",), "its manual, page 1")
    assert entry.examples == ("1.2.3.4", "A_12", "1.2")
    assert not entry.ambiguous
    assert not entry.needs_title


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'name = "A product"', b"", "name: "),
        (b'name = "A product"', b'name = ""', "name: "),
        (b'name = "A product"', b'name = "two\\nlines"', "name: "),
        (b'name = "A product"', b"name = 3", "name: "),
        (b'role = "product"', b'role = "thing"', "role: "),
        (b'role = "product"', b'role = "product"\nunknown = 1', "unknown: "),
        (b"[[fingerprint]]", b"[fingerprint]", "fingerprint: "),
        (b"[[fingerprint]]", b"[[fingerprint]", "line 6"),
        (b'uid_prefix = "1.2.3"', b'uid_prefix = "1.2.3."', "fingerprint.0.uid_prefix: "),
        (b'uid_prefix = "1.2.3"', b'uid_prefix = "1"', "fingerprint.0.uid_prefix: "),
        (b'uid_prefix = "1.2.3"', b'uid_prefix = "1.2.x"', "fingerprint.0.uid_prefix: "),
        (b"'A_(\\d)(\\d)'", b"'A_(\\d'", "not a regular expression"),
        (b"'A_(\\d)(\\d)'", b"'" + b"(" * 5000 + b")" * 5000 + b"'", "fingerprint.0.version: "),
        (b'confidence = "source"', b'confidence = "memory"', "fingerprint.0.confidence: "),
        (b'confidence = "source"', b"", "fingerprint.0.confidence: "),
        (b'source = "its source, version.h"', b"", "fingerprint.0.source: "),
        (b'source = "its source, version.h"', b'source = "x"', "fingerprint.0.source: "),
        (b'titles_source = "its manual, page 1"', b"", "titles_source"),
        (b'["APRODUCT"]', b'["SEVENTEEN_LETTERS"]', "default_titles.0: "),
        (b'["APRODUCT"]', b'["BACK\\\\SLASH"]', "default_titles.0: "),
        (b'["APRODUCT"]', b'"APRODUCT"', "default_titles: "),
        (b'["APRODUCT"]', b'["A", "B", "C", "D", "E", "F"]', "default_titles: "),
        (b'["APRODUCT"]', b"[]\n#", "needs_title"),
        (b'"A_12"', b'"A_12_OVER_16_CHARACTERS"', "fingerprint.0.example_version: "),
        (b"A product", b"\xff\xfe", "codec"),
        (b"A product", b"\0", "line 1"),
        (b'name = "A product"', b"name = " + b"[" * 50_000, ""),
        (b'name = "A product"', b"name = " + b"9" * 50_000, ""),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file_and_the_key(old: bytes, new: bytes, says: str) -> None:
    document = GOOD.replace(b"example_uid", b"needs_title = true\nexample_uid")
    parse_product("a-product.toml", document)
    assert old in document

    with pytest.raises(InputError) as caught:
        parse_product("a-product.toml", document.replace(old, new, 1))

    text = str(caught.value)
    assert text.startswith("product a-product.toml: ")
    assert says in text
    assert text.isprintable()
    assert len(text) < 300


@pytest.mark.parametrize("name", ["", ".toml", "A.toml", "a b.toml", "../a.toml", "a\n.toml", "-a.toml", "é.toml"])
def test_a_file_is_named_after_an_id(name: str) -> None:
    with pytest.raises(InputError, match="name it after its id"):
        parse_product(name, GOOD)


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_are_a_product_or_the_one_error(document: bytes) -> None:
    try:
        assert parse_product("a.toml", document)
    except InputError as error:
        assert str(error).isprintable()


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=3))
def test_a_good_file_with_some_bytes_changed_is_a_product_or_the_one_error(place: int, piece: bytes) -> None:
    try:
        assert parse_product("a.toml", GOOD[:place] + piece + GOOD[place + len(piece) :])
    except InputError as error:
        assert str(error).isprintable()
