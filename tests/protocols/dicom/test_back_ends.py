"""Several servers behind one endpoint: who is who, and what they show together."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from leadapron.model import Count, CountKind, Reason
from leadapron.protocols.dicom.back_ends import at_least, implementation, together
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.wire.items import UserInformation

COUNTS = st.none() | st.builds(Count.exact, st.integers(0, 9)) | st.builds(Count.at_least, st.integers(0, 9))
FOUND = st.builds(lambda studies, images: Found(answer=Answer.PROVEN, studies=studies, images=images), COUNTS, COUNTS)


def said(uid: str = "1.2.3", name: bytes = b"ONE", **changes: int) -> str:
    return implementation(
        UserInformation(implementation_class_uid=uid, implementation_version_name=name, **changes)  # type: ignore[arg-type]
    )


def test_an_implementation_is_its_uid_and_its_version_and_nothing_else() -> None:
    assert said() == said(maximum_length=16384)
    assert len({said(), said("1.2.4"), said(name=b"TWO"), said("1.2.3\0", b"ONE"), said("", b"")}) == 5
    assert set(said(name=b"DOE^JANE")) <= set("0123456789abcdef")


def test_equal_numbers_may_be_of_other_studies() -> None:
    one = Found(answer=Answer.PROVEN, studies=Count.exact(7), images=Count.exact(70))
    assert together([one]) == one
    assert together([one, one]).studies == Count(
        value=7, low=7, high=14, kind=CountKind.BOUND, source=Count.exact(7).source
    )


def test_one_that_does_not_cap_is_one_that_hands_out_all() -> None:
    """However large the one is that does."""
    capped = Found(answer=Answer.PROVEN, status=0, most_answers=600, capped=True, studies=Count.at_least(600))
    free = Found(answer=Answer.PROVEN, status=0, most_answers=550, studies=Count.exact(550))
    joined = together([capped, free])
    assert (joined.capped, joined.most_answers) == (False, 550)
    assert together([capped, replace(free, status=-1)]).status == -1
    assert together([capped, capped]).capped


def test_an_estimate_is_no_bound() -> None:
    estimate = Count(value=90, low=80, high=100, kind=CountKind.ESTIMATE, source=Count.exact(0).source)
    one, other = (Found(answer=Answer.PROVEN, images=count) for count in (estimate, Count.exact(30)))
    for images in (together([one, other]).images, at_least(other).images):
        assert images is not None
        assert (images.low, images.high, images.kind) == (30, None, CountKind.BOUND)
    assert at_least(one).images == Count.at_least(0)


def test_where_they_differ_the_largest_is_the_least_and_the_sum_the_most() -> None:
    one = Found(answer=Answer.PROVEN, studies=Count.exact(7), images=Count.exact(70))
    other = Found(answer=Answer.PROVEN, studies=Count.exact(4), images=None)
    joined = together([one, other])
    assert joined.studies == Count(value=7, low=7, high=11, kind=CountKind.BOUND, source=Count.exact(7).source)
    assert joined.images == Count(value=70, low=70, high=None, kind=CountKind.BOUND, source=Count.exact(7).source)
    assert joined.why is Reason.LIMIT


@given(st.lists(FOUND, min_size=1, max_size=4))
def test_no_count_together_says_less_or_more_than_there_can_be(found: list[Found]) -> None:
    joined = together(found)
    for name in ("studies", "images"):
        counts = [getattr(each, name) for each in found]
        known, count = [each for each in counts if each is not None], getattr(joined, name)
        assert (count is None) == (not known)
        if count is None:
            continue
        assert count.low == max(each.low for each in known) <= count.value
        if len(found) == 1:
            assert count == known[0]
        elif count.high is not None:
            assert count.high == sum(each.high for each in counts)
