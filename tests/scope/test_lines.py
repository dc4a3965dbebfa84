from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scope_samples import FILE, MINIMAL

from leadapron.scope.lines import find_lines, line_of


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Every place in parsed TOML."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(paths(inner, (*path, key)) for key, inner in items))


TRICKY = """\
a = 1 # a comment = with [brackets]
"quoted key" = "x # no comment ] }"
'literal.key' = 'a "quoted" \\'
"esc\\u0061ped\\n" = '''
many ''lines'' ] =
'''
text = \"\"\"one \\"\"\" still
two \"\"\"\"\"
b.c . "d" = [ # first
  1, 2, # second
  [ 3,
    { x = 4, y.z = [ 5,
      6 ] } ],

  "]", # last
]
when = 1979-05-27 07:32:00Z
empty = []
none = {}
[table . "with.dots"] # here
e = inf
[[list]]
[[list]]
f = 1
[list.inner]
g = 2
[[list.deep]]
h = 3
[[list.deep]]
h = 4
"""


@pytest.mark.parametrize("text", [FILE, MINIMAL, TRICKY, "", "a=1", "a = ''"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_every_place_of_a_file_has_a_line(text: str, line_end: str) -> None:
    text = text.replace("\n", line_end)
    assert set(find_lines(text)) == paths(tomllib.loads(text)) - {()}


def test_lines_are_those_of_the_keys_and_items() -> None:
    lines = find_lines(TRICKY)
    found = dict(lines.items())
    assert found["a",] == 1
    assert found["text",] == 7
    assert found["b", "c", "d"] == 9
    assert found["b", "c", "d", 1] == 10
    assert found["b", "c", "d", 2, 1, "y", "z", 1] == 13
    assert found["b", "c", "d", 3] == 15
    assert found["table", "with.dots", "e"] == 21
    assert (found["list", 0], found["list", 1], found["list", 1, "inner", "g"]) == (22, 23, 26)
    assert found["list", 1, "deep", 1, "h"] == 30


def test_a_missing_key_is_shown_at_its_table() -> None:
    lines = find_lines(FILE)
    assert line_of(lines, ("zone", 0, "nothing")) == FILE.splitlines().index("[[zone]]") + 1
    assert line_of(lines, ("nothing",)) == 0


keys = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True), st.sampled_from(['"a b"', "'a.b'", '"\\u0041"', '""'])
)
scalars = st.sampled_from(
    [
        "1",
        "-2.5e3",
        "true",
        "inf",
        "1979-05-27",
        "1979-05-27 07:32:00",
        "07:32:00",
        '"x"',
        "''",
        '"a\\"#]"',
        "'#}'",
        '"""a\n"b\n"""',
        "'''\n]'''",
        '""""a"""""',
        "0x1F",
    ]
)
blanks = st.sampled_from(["", " ", "\n", " # note ] = \n", "\n\n\t"])


def arrays(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    item = st.tuples(blanks, items, blanks).map("".join)
    return st.tuples(st.lists(item, max_size=4), st.sampled_from(["", ","])).map(
        lambda parts: f"[{','.join(parts[0])}{parts[1] if parts[0] else ''}]"
    )


def inline_tables(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.dictionaries(keys, items, max_size=3)
    return pairs.map(lambda values: "{ " + ", ".join(f"{key} = {value}" for key, value in values.items()) + " }")


values = st.recursive(scalars, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=8)
statements = st.one_of(
    st.tuples(keys, st.sampled_from([" = ", "="]), values).map("".join),
    st.tuples(keys, keys, values).map(lambda parts: f"{parts[0]} . {parts[1]} = {parts[2]}"),
    st.tuples(st.sampled_from(["[%s]", "[ %s ] # x", "[[%s]]", "[[ %s ]]"]), keys).map(
        lambda parts: parts[0] % parts[1]
    ),
    st.tuples(st.sampled_from(["[%s.%s]", "[[%s . %s]]"]), keys, keys).map(lambda p: p[0] % p[1:]),
    st.just("# a comment"),
)


@given(st.lists(statements, max_size=8).map("\n".join))
@example("[a]\n[a.b]\n[[a.c]]\n[a.c.d]\nx=[[],[[1],{}]]")
def test_valid_toml_is_followed_everywhere(text: str) -> None:
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        find_lines(text)  # what it finds is of no matter, but it ends
    else:
        assert set(find_lines(text)) == paths(parsed) - {()}


@given(st.text(alphabet="ab=.[]{}\"'#,\\\n u1", max_size=60))
def test_the_scanner_ends_on_any_text(text: str) -> None:
    lines = find_lines(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
