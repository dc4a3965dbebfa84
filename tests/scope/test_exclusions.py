from __future__ import annotations

import datetime as dt
import hashlib
import random
import stat
import threading
import time
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scope_samples import MINIMAL, TODAY, Clock, grant, scope

from leadapron.errors import InputError, ScopeErrors
from leadapron.scope import exclusions as module
from leadapron.scope.decision import Denied
from leadapron.scope.exclusions import (
    MOST,
    add_exclusions,
    as_begun,
    digest,
    read_exclusions,
    with_exclusions,
)
from leadapron.scope.explain import account
from leadapron.scope.gate import Gate
from leadapron.scope.grant import Exclusion, load_scope
from leadapron.scope.parse import Mistake
from leadapron.scope.read import exclusions_file

SINCE = dt.datetime(2026, 11, 28, 12, 40, tzinfo=dt.UTC)
SURVEY = '[survey]\nopt_out = "optout@cert.example"\npage = "page.txt"\nexclusions = "exclusions.txt"\n'


def excluded(network: str, because: str = "asked by mail", asked_by: str = "") -> Exclusion:
    return Exclusion(network=ip_network(network), since=SINCE, because=because, asked_by=asked_by)


def read(folder: Path, text: str | bytes) -> tuple[Exclusion, ...]:
    path = folder / "exclusions.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_exclusions(path, "exclusions.txt")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "exclusions.txt"
    first = [excluded("198.18.0.7", asked_by="noc@example.net"), excluded("2001:db8::/32", "by fax; 12 März")]
    assert add_exclusions(path, first) == first
    assert add_exclusions(path, [excluded("198.18.0.0/24"), excluded("198.18.0.7", "again")]) == [
        excluded("198.18.0.0/24")
    ]
    assert read_exclusions(path, path.name) == (*first, excluded("198.18.0.0/24"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_same_network_twice_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "exclusions.txt"
    assert len(add_exclusions(path, [excluded("198.18.0.7"), excluded("198.18.0.7/32", "twice")])) == 1
    before, inode = path.read_bytes(), path.stat().st_ino
    assert add_exclusions(path, [excluded("198.18.0.7", "later")]) == []
    assert (path.read_bytes(), path.stat().st_ino) == (before, inode)


def test_comments_and_what_people_wrote_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "exclusions.txt"
    path.write_text("# by hand\n\n198.18.0.7  2026-11-28T12:40:00Z  asked by mail  noc@example.net")
    add_exclusions(path, [excluded("198.18.0.9")])
    assert path.read_text() == (
        "# by hand\n\n198.18.0.7  2026-11-28T12:40:00Z  asked by mail  noc@example.net\n"
        "198.18.0.9/32\t2026-11-28T12:40:00Z\tasked by mail\n"
    )
    assert [str(each.network) for each in read_exclusions(path, path.name)] == ["198.18.0.7/32", "198.18.0.9/32"]


def test_a_link_leads_to_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    path = tmp_path / "exclusions.txt"
    path.symlink_to("shared/all.txt")
    add_exclusions(path, [excluded("198.18.0.9")])
    assert path.is_symlink()
    assert len(read_exclusions(tmp_path / "shared" / "all.txt", "all.txt")) == 1


def test_nobody_who_adds_at_the_same_time_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "exclusions.txt"

    def add(number: int) -> None:
        for last in range(10):
            add_exclusions(path, [excluded(f"198.18.{number}.{last}")])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_exclusions(path, path.name)) == 80


def test_a_file_that_cannot_be_replaced_stays_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "exclusions.txt"
    add_exclusions(path, [excluded("198.18.0.9")])
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device; nothing was added"):
        add_exclusions(path, [excluded("198.18.0.10")])
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path]


GOOD = "198.18.0.7\t2026-11-28T12:40:00Z\tasked by mail\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("198.18.0.7\n", "is not an exclusion"),
        ("198.18.0.7 2026-11-28T12:40:00Z asked by mail\n", "is not an exclusion"),
        (GOOD.replace("\n", "\tnoc\tmore\n"), "is not an exclusion"),
        (GOOD.replace("198.18.0.7", "198.18.0.7/24"), "'198.18.0.7/24' has host bits set"),
        (GOOD.replace("198.18.0.7", "198.18.0.0/33"), "'198.18.0.0/33' is not a network"),
        (GOOD.replace("198.18.0.7", "198.18.0.256"), "'198.18.0.256' is not a network"),
        (GOOD.replace("198.18.0.7", "198.18.0.07"), "'198.18.0.07' is not a network"),
        (GOOD.replace("198.18.0.7", "::ffff:198.18.0.7"), "'::ffff:198.18.0.7' is IPv4-mapped"),
        (GOOD.replace("198.18.0.7", "pacs.example"), "'pacs.example' is not a network"),
        (GOOD.replace("Z", ""), "'2026-11-28T12:40:00' is not a time"),
        (GOOD.replace("-28T", "-31T"), "'2026-11-31T12:40:00Z' is not a time"),
        (GOOD.replace("mail", "\x1b[2J"), "is longer than 200 characters or not plain text"),
        (GOOD.replace("mail", "m" * 200), "is longer than 200 characters or not plain text"),
    ],
)
def test_a_line_that_is_none_is_a_mistake_with_its_number(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(Mistake) as caught:
        read(tmp_path, f"# two lines\n{GOOD}{text}")
    assert caught.value.problem == f"line 3 of 'exclusions.txt': {problem}"
    assert caught.value.remedy
    with pytest.raises(InputError, match=r"line 3 of .exclusions\.txt.: .*; nothing was added"):
        add_exclusions(tmp_path / "exclusions.txt", [excluded("198.18.0.9")])


def test_what_is_no_text_or_too_much_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Mistake, match="is not UTF-8"):
        read(tmp_path, b"\xff\n")
    monkeypatch.setattr(module, "MOST", 2)
    assert len(read(tmp_path, GOOD * 2)) == 2
    with pytest.raises(Mistake, match="holds more than 2 exclusions"):
        read(tmp_path, GOOD * 3)
    monkeypatch.setattr(module, "MAX_SIZE", 10)
    with pytest.raises(Mistake, match="larger than 64 MiB"):
        read(tmp_path, GOOD)


@given(st.binary(max_size=200) | st.text(alphabet="0123456789./:abf\t \n#TZ-", max_size=200).map(str.encode))
def test_any_bytes_give_exclusions_or_a_mistake(data: bytes) -> None:
    try:
        found = module._parsed(data, "any")
    except Mistake as mistake:
        assert mistake.problem
        assert mistake.remedy
    else:
        assert all(each.because and each.since.tzinfo is dt.UTC for each in found)


def test_a_hundred_thousand_are_read_in_time(tmp_path: Path) -> None:
    """A run has five seconds to heed a complaint, and has to do more in them than to read."""
    numbers = random.Random(7).sample(range(1 << 24, 223 << 24), MOST)
    path = tmp_path / "exclusions.txt"
    path.write_text("".join(f"{ip_address(number)}\t2026-11-28T12:40:00Z\tasked by mail\n" for number in numbers))
    for _ in range(3):  # another test may have left much for the collector to look through
        module._Last.read, module._Last.hashed = module._Read(), module._Hashed()
        begun = time.process_time()
        found = read_exclusions(path, path.name)
        sha256 = digest(found)
        if (taken := time.process_time() - begun) < 2:
            break
    assert taken < 2
    begun = time.process_time()
    path.write_text(f"{path.read_text()}# one line more\n")
    assert read_exclusions(path, path.name) is found
    assert time.process_time() - begun < 0.5
    assert [int(each.network.network_address) for each in found] == numbers
    assert len(sha256) == 64


def test_the_digest_is_of_networks_in_their_order_and_of_nothing_else() -> None:
    one, two = excluded("198.18.0.7"), excluded("198.18.0.8")
    assert digest(()) == ""
    assert digest((one, two)) != digest((two, one))
    assert digest((one,)) == digest((excluded("198.18.0.7/32", "other words", "somebody"),))
    assert digest((one, two)) == hashlib.sha256(b"198.18.0.7/32\n198.18.0.8/32\n").hexdigest()


def test_exclusions_hold_against_every_grant_and_by_every_way_to_an_address() -> None:
    held = with_exclusions(
        scope(grant("0.0.0.0/0", "64:ff9b::/96", id="all", wide=True), grant("11.0.0.7/32", id="own")),
        (excluded("11.0.0.0/24"), excluded("2001:db8::/64")),
    )
    gate = Gate(held, clock=Clock())
    assert gate.dial_allowed("11.0.0.7", 104) is Denied.EXCLUDED
    assert gate.dial_allowed("64:ff9b::0b00:0007", 104) is Denied.EXCLUDED
    assert gate.dial_allowed("11.0.1.7", 104) is None
    assert sum(last - first + 1 for first, last in gate.intervals(4)) == 3_702_257_664 - 256
    answer = account(gate, ip_address("11.0.0.7"), 104)
    assert answer.decided_by == "exclusion 11.0.0.0/24, asked for on 2026-11-28"


def test_a_run_that_goes_on_has_the_space_that_it_began_with() -> None:
    began = with_exclusions(scope(grant("198.18.0.0/24")), (excluded("198.18.0.7"),))
    later = with_exclusions(began, (*began.exclusions, excluded("198.18.0.128/25")))
    again = as_begun(later, 1, began.exclusions_sha256)
    assert again.exclusions == began.exclusions
    gate, first = Gate(again, clock=Clock()), Gate(began, clock=Clock())
    gate.narrow(later)
    assert gate.intervals(4) == first.intervals(4)
    assert (gate.dial_allowed("198.18.0.7", 104), gate.dial_allowed("198.18.0.200", 104)) == (
        Denied.EXCLUDED,
        Denied.NARROWED,
    )
    assert as_begun(began, 1, began.exclusions_sha256).digests == began.digests
    assert as_begun(later, 0, "").exclusions == ()
    for changed in ((excluded("198.18.0.8"), excluded("198.18.0.128/25")), ()):
        with pytest.raises(InputError, match="put it back, or begin anew"):
            as_begun(with_exclusions(began, changed), 1, began.exclusions_sha256)


def test_the_scope_stays_the_same_by_a_new_exclusion_and_its_second_digest_does_not(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("What this is.")
    path, file = tmp_path / "scope.toml", tmp_path / "exclusions.txt"
    path.write_text(MINIMAL + SURVEY)
    file.touch()
    before = load_scope(path, today=TODAY)
    assert (before.exclusions, before.exclusions_sha256) == ((), "")
    add_exclusions(file, [excluded("198.18.0.7")])
    after = load_scope(path, today=TODAY)
    assert after.sha256 == before.sha256
    assert after.exclusions == (excluded("198.18.0.7"),)
    assert after.exclusions_sha256 == digest(after.exclusions) != ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "'exclusions.txt' cannot be read: No such file or directory"),
        ("198.18.0.7\n", "line 1 of 'exclusions.txt': is not an exclusion"),
    ],
)
def test_exclusions_that_cannot_be_read_let_no_run_begin(tmp_path: Path, text: str | None, problem: str) -> None:
    """Else a name that is mistyped would let go of everybody who asked."""
    (tmp_path / "page.txt").write_text("What this is.")
    if text is not None:
        (tmp_path / "exclusions.txt").write_text(text)
    (tmp_path / "scope.toml").write_text(MINIMAL + SURVEY)
    with pytest.raises(ScopeErrors) as caught:
        load_scope(tmp_path / "scope.toml", today=TODAY)
    (error,) = caught.value.errors
    assert (error.key, error.problem) == ("survey.exclusions", problem)


def test_where_exclusions_go_is_known_whatever_else_the_scope_says(tmp_path: Path) -> None:
    path = tmp_path / "scope.toml"
    path.write_text(MINIMAL.replace("2027", "2025") + SURVEY)
    assert exclusions_file(path) == tmp_path / "exclusions.txt"
    for text in (MINIMAL, MINIMAL + "[survey]\nexclusions = 7\n", "survey = 1\n", '[survey]\nexclusions = " "\n'):
        path.write_text(text)
        with pytest.raises(ScopeErrors, match=r"survey\.exclusions: is missing"):
            exclusions_file(path)
    path.write_text("[survey")
    with pytest.raises(ScopeErrors, match="is not TOML"):
        exclusions_file(path)
    path.unlink()
    with pytest.raises(ScopeErrors, match="cannot be read"):
        exclusions_file(path)


@given(
    st.lists(
        st.sampled_from([GOOD, "# comment\n", "\n", GOOD.replace(".7", ".8"), "198.18.0.7\n", "no end"]), max_size=8
    )
)
def test_what_is_read_on_is_what_is_read_anew(parts: list[str]) -> None:
    """Whatever was read before: the same exclusions, the same digest, the same mistake in the same line."""

    def outcome(data: bytes, *, anew: bool) -> tuple[object, ...]:
        if anew:
            module._Last.read, module._Last.hashed = module._Read(), module._Hashed()
        try:
            found = module._parsed(data, "any")
        except Mistake as mistake:
            return (mistake.problem,)
        return found, digest(found)

    files = ["".join(parts[:end]).encode() for end in range(len(parts) + 1)]
    files += ["".join(parts[1:]).encode(), *files[:2]]
    read_on = [outcome(data, anew=False) for data in files]
    assert read_on == [outcome(data, anew=True) for data in files]
