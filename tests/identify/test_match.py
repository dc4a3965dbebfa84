"""From what a peer says of itself to a product: the longest prefix, no guess, and nothing of the peer's own text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.identify import match as module
from leadapron.identify.catalogue import Confidence, Fingerprint, Role, fingerprints
from leadapron.identify.match import MAX_TITLES, default_titles, match
from leadapron.model import Product

DCMTK = ("1.2.276.0.7230010.3.0.3.6.7", b"OFFIS_DCMTK_367")
DCMTK_TOOLS = "DCMTK tools (dcmqrscp, storescp, wlmscpfs)"


def entry(
    identifier: str,
    uid_prefix: str,
    version: bytes = b"",
    *,
    role: Role = "product",
    confidence: Confidence = "source",
    ambiguous: bool = False,
    titles: tuple[str, ...] = (),
) -> Fingerprint:
    """A made-up entry, which needs its title where it has titles."""
    return Fingerprint(
        id=identifier,
        name=identifier.upper(),
        role=role,
        uid_prefix=uid_prefix,
        version=re.compile(version) if version else None,
        confidence=confidence,
        source="made up",
        ambiguous=ambiguous,
        needs_title=bool(titles),
        default_titles=titles,
        titles_source="",
        examples=(uid_prefix, "", ""),
    )


VENDOR = entry("vendor", "1.2.840", role="vendor")
PRODUCT = entry("product", "1.2.840.5", rb"P (\d+)")
TWIN = entry("twin", "1.2.840.5", rb"P (\d+)")


def test_orthanc_shows_itself_as_dcmtk_and_stays_a_candidate() -> None:
    found = match(*DCMTK)

    assert found.name == ""
    assert found.candidates == (DCMTK_TOOLS, "Orthanc")
    assert found.toolkit == "OFFIS DCMTK 3.6.7"


def test_its_default_title_tells_orthanc_apart_and_says_that_this_is_an_inference() -> None:
    found = match(*DCMTK, called_titles=("ORTHANC",))

    assert (found.name, found.confidence, found.candidates) == ("Orthanc", "secondary", ())
    assert found.toolkit == "OFFIS DCMTK 3.6.7"
    assert match(*DCMTK, called_titles=("orthanc", "ORTHANC2", "PACS")).name == ""


def test_a_port_decides_nothing() -> None:
    assert match(*DCMTK, port=4242) == match(*DCMTK, port=104) == match(*DCMTK)


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.5", "PRODUCT"),
        ("1.2.840.5.1", "PRODUCT"),
        ("1.2.840.51", "VENDOR"),
        ("1.2.840", "VENDOR"),
        ("1.2.8400", ""),
        ("1.2.84", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_longest_prefix_wins_and_ends_at_a_dot(uid: str | None, name: str) -> None:
    assert match(uid, None, catalogue=[VENDOR, PRODUCT]).name == name


def test_a_version_name_that_contradicts_the_prefix_is_no_product() -> None:
    assert match("1.2.840.5", b"P 7", catalogue=[PRODUCT]).name == "PRODUCT"
    assert match("1.2.840.5", b"Q 7", catalogue=[PRODUCT]) == Product()
    assert match("1.2.840.5", b"P 7 and more", catalogue=[PRODUCT]) == Product()


def test_a_version_name_without_a_known_uid_is_no_product() -> None:
    assert match(None, b"OFFIS_DCMTK_367") == Product()
    assert match("1.2.3.4", b"OFFIS_DCMTK_367") == Product()


def test_without_a_version_name_the_uid_decides_and_no_version_is_said() -> None:
    found = match("1.2.40.0.13.1.3", None)
    assert (found.toolkit, found.confidence) == ("dcm4che 3 or 5", "source")


def test_two_that_look_the_same_are_candidates_in_the_order_of_their_names() -> None:
    found = match("1.2.840.5", b"P 7", catalogue=[TWIN, PRODUCT])

    assert found == Product(candidates=("PRODUCT", "TWIN"))


def test_one_that_says_it_is_ambiguous_gives_way_and_alone_is_a_candidate() -> None:
    vague = replace(TWIN, ambiguous=True)

    assert match("1.2.840.5", b"P 7", catalogue=[vague, PRODUCT]).name == "PRODUCT"
    assert match("1.2.840.5", b"P 7", catalogue=[vague]) == Product(candidates=("TWIN",))


@pytest.mark.parametrize("ambiguous", [False, True])
def test_toolkits_that_look_the_same_are_candidates_too(ambiguous: bool) -> None:
    toolkits = [entry(name, "1.2.3", role="toolkit", ambiguous=ambiguous) for name in ("b", "a")]
    assert match("1.2.3", None, catalogue=toolkits) == Product(candidates=("A", "B"))


def test_a_product_with_several_fingerprints_is_no_tie_and_its_best_is_what_is_said() -> None:
    vague = entry("product", "1.2.840.5", rb"P .*", confidence="table")

    for catalogue in ([vague, PRODUCT], [PRODUCT, vague]):
        found = match("1.2.840.5", b"P 7", catalogue=catalogue)
        assert (found.name, found.version, found.confidence) == ("PRODUCT", "7", "source")


@pytest.mark.parametrize(
    ("pattern", "version_name", "version"),
    [
        (rb"P (\d)(\d)(\d)", b"P 367", "3.6.7"),
        (rb"P ([\d.]+)", b"P 5.31.0", "5.31.0"),
        (rb"P (\d+)(?:-(\w+))?", b"P 5", "5"),
        (rb"P (\d+)(?:-(\w+))?", b"P 5-b", "5.b"),
        (rb"P .*", b"P 5", ""),
        (rb"P (.*)", b"P DOE^JANE", ""),
        (rb"P (.*)", b"P \xff", ""),
        (rb"P (.*)", b"P 123456789", ""),
        (rb"P (.*)", b"P 5\r\n", ""),
        (rb"P (.*)", b"P ", ""),
    ],
)
def test_a_version_is_what_the_groups_caught_in_a_closed_character_set(
    pattern: bytes, version_name: bytes, version: str
) -> None:
    anything = re.compile(pattern, re.DOTALL)
    found = match("1.2.3", version_name, catalogue=[replace(PRODUCT, uid_prefix="1.2.3", version=anything)])
    assert (found.name, found.version) == ("PRODUCT", version)


def test_default_titles_are_five_at_most_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    many = tuple(entry(f"p{n}", "1.2.3", titles=("SAME", f"TITLE{n}")) for n in range(9))
    monkeypatch.setattr(module, "fingerprints", lambda: many)

    titles = default_titles()

    assert len(titles) == len(set(titles)) == MAX_TITLES
    assert titles == ("SAME", "TITLE0", "TITLE1", "TITLE2", "TITLE3")


def test_the_title_of_orthanc_is_one_of_the_documented_ones() -> None:
    assert "ORTHANC" in default_titles()


peer_uids = st.none() | st.text(max_size=70) | st.sampled_from([each.examples[0] for each in fingerprints()])
peer_versions = (
    st.none() | st.binary(max_size=40) | st.sampled_from([each.examples[1].encode() for each in fingerprints()])
)
peer_titles = st.lists(st.text(max_size=16) | st.sampled_from(default_titles()), max_size=3)
OUR_WORDS = {each.name for each in fingerprints()}


@given(peer_uids, peer_versions, peer_titles, st.none() | st.integers(0, 65_535))
def test_any_strings_give_a_result_in_our_own_words(
    uid: str | None, version_name: bytes | None, titles: list[str], port: int | None
) -> None:
    found = match(uid, version_name, called_titles=titles, port=port)

    assert {found.name, *found.candidates} <= OUR_WORDS | {""}
    assert not found.toolkit or any(found.toolkit.startswith(word) for word in OUR_WORDS)
    assert not (found.name and found.candidates)
    assert re.fullmatch(r"[0-9A-Za-z.,-]{0,54}", found.version)
    assert found.confidence in ("", *module.CONFIDENCES)


@given(peer_uids, peer_versions, peer_titles, st.permutations(fingerprints()))
def test_the_order_of_the_shipped_entries_means_nothing(
    uid: str | None, version_name: bytes | None, titles: list[str], shuffled: list[Fingerprint]
) -> None:
    assert match(uid, version_name, called_titles=titles, catalogue=shuffled) == match(
        uid, version_name, called_titles=titles
    )


made_up = st.builds(
    entry,
    st.sampled_from(("a", "b")),
    st.sampled_from(("1.2", "1.2.3")),
    st.sampled_from((b"", rb"P .*", rb"P (\d+)", rb"P ?(\d)(\d?)")),
    role=st.just("product"),
    confidence=st.sampled_from(module.CONFIDENCES),
    ambiguous=st.booleans(),
    titles=st.sampled_from(((), ("T",))),
)


@given(st.lists(made_up, max_size=5), st.data())
def test_the_order_of_any_entries_means_nothing(entries: list[Fingerprint], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(entries))
    for uid, version_name in (("1.2.3", b"P 12"), ("1.2.3", None), ("1.2.9", b"P1")):
        for titles in ((), ("T",)):
            assert match(uid, version_name, called_titles=titles, catalogue=shuffled) == match(
                uid, version_name, called_titles=titles, catalogue=entries
            )
