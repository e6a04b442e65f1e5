"""Which files count: globs, excludes, hidden names, depth, and what is refused."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.selection import Selection

TEXT_NAMES = st.text("ab.*?[]!-é\n\\x", min_size=1, max_size=8).map(os.fsencode)
GLOBS = st.text("ab.*?[]!-é\n\\x", min_size=1, max_size=8)
QUICK = settings(max_examples=400)


@given(glob=GLOBS, name=TEXT_NAMES)
@QUICK
def test_ignoring_case_makes_no_difference_between_cases(glob: str, name: bytes) -> None:
    selection = Selection((glob,), hidden=True, ignore_case=True)
    upper = os.fsdecode(name).upper().encode()
    assert selection.patterns_of(name, b"") == selection.patterns_of(upper, b"")


@pytest.mark.parametrize(
    ("glob", "name", "counts"),
    [
        ("*.TXT", b"a.txt", True),
        ("*.É", "x.é".encode(), True),
        ("Ä*", "änderung".encode(), True),
        ("?", "é".encode(), True),
        ("[É]", "é".encode(), True),
        ("*.txt", b"\xff.TXT", True),
        ("*.txt", b"a.tx", False),
    ],
)
def test_ignoring_case_knows_more_than_ascii(glob: str, name: bytes, *, counts: bool) -> None:
    assert bool(Selection((glob,), ignore_case=True).patterns_of(name, b"")) is counts


def test_a_file_counts_in_every_pattern_that_it_matches() -> None:
    selection = Selection(("*.txt", "a*", "*.csv", "*"))
    assert selection.patterns_of(b"a.txt", b"") == (0, 1, 3)
    assert selection.patterns_of(b"b.csv", b"sub/") == (2, 3)


@pytest.mark.parametrize("glob", ["*", "*.txt", "?hidden.txt", "[.]hidden.txt"])
def test_hidden_names_do_not_count_unless_asked_for(glob: str) -> None:
    assert Selection((glob,)).patterns_of(b".hidden.txt", b"") == ()
    assert Selection((glob,), hidden=True).patterns_of(b".hidden.txt", b"") == (0,)


def test_hidden_directories_are_not_entered_unless_asked_for() -> None:
    assert not Selection(recursive=True).enters(b".git", b"")
    assert Selection(recursive=True, hidden=True).enters(b".git", b"")


def test_only_a_recursive_selection_enters() -> None:
    assert not Selection().enters(b"sub", b"")
    assert Selection(recursive=True).enters(b"sub", b"a/b/c/")


def test_an_own_pattern_counts_in_the_folder_only() -> None:
    selection = Selection(("a.txt", "*.txt"), recursive=True, own_patterns=frozenset({"a.txt"}))
    assert selection.patterns_of(b"a.txt", b"") == (0, 1)
    assert selection.patterns_of(b"a.txt", b"sub/") == (1,)
    assert selection.enters(b"sub", b"")
    assert selection.counts(b"/data/sub/a.txt", b"/data")


@pytest.mark.parametrize("name", ["a.txt", "*"])
def test_a_folder_of_own_patterns_is_not_recursive(name: str) -> None:
    selection = Selection((name,), recursive=True, max_depth=5, own_patterns=frozenset({name}))
    assert not selection.enters(b"sub", b"")
    assert selection.patterns_of(b"a.txt", b"") == (0,)
    assert selection.patterns_of(b"a.txt", b"sub/") == ()


@pytest.mark.parametrize(
    ("depth", "below", "enters"), [(1, b"", False), (2, b"", True), (2, b"a/", False), (3, b"a/", True)]
)
def test_depth_counts_as_find_maxdepth_does(depth: int, below: bytes, *, enters: bool) -> None:
    assert Selection(recursive=True, max_depth=depth).enters(b"sub", below) is enters


@pytest.mark.parametrize(
    ("selection", "path", "counts"),
    [
        (Selection(), b"/data/a.prom", True),
        (Selection(), b"/data/sub/a.prom", False),
        (Selection(), b"/data2/a.prom", False),
        (Selection(), b"/data/.a.prom", False),
        (Selection(("*.txt",)), b"/data/a.prom", False),
        (Selection(excludes=("a.prom",)), b"/data/a.prom", False),
        (Selection(recursive=True), b"/data/sub/sub/a.prom", True),
        (Selection(recursive=True), b"/data/.sub/a.prom", False),
        (Selection(recursive=True, max_depth=2), b"/data/sub/a.prom", True),
        (Selection(recursive=True, max_depth=2), b"/data/sub/sub/a.prom", False),
        (Selection(recursive=True, excludes=("sub/out",)), b"/data/sub/out/a.prom", False),
    ],
)
def test_whether_a_path_counts_in_a_folder(selection: Selection, path: bytes, *, counts: bool) -> None:
    assert selection.counts(path, b"/data") is counts


@pytest.mark.parametrize(
    ("exclude", "out", "stays"),
    [
        ("*.tmp", ["a.tmp", "sub/a.tmp"], ["a.tmpl", "tmp"]),
        ("node_modules", ["node_modules", "a/node_modules"], ["node_modules2"]),
        ("sub/a.txt", ["sub/a.txt"], ["a.txt", "x/sub/a.txt"]),
        ("/a.txt", ["a.txt"], ["sub/a.txt"]),
        ("sub/", ["sub"], ["x/sub"]),
        ("sub/*", ["sub/a"], ["sub", "sub/a/b", "a"]),
        ("*/a", ["x/a"], ["a", "x/y/a"]),
        ("**/a", ["a", "x/a", "x/y/a"], ["xa", "x/ya"]),
        ("sub/**", ["sub/a", "sub/a/b"], ["sub", "subs/a"]),
        ("sub/**/a", ["sub/a", "sub/x/a", "sub/x/y/a"], ["a", "sub/xa"]),
        ("su?/a", ["sub/a"], ["su/a", "su//a"]),
        ("sub/[ab]", ["sub/a", "sub/b"], ["sub/c", "sub/[ab]"]),
        ("sub/[!ab]", ["sub/c"], ["sub/a"]),
        ("sub/[]a]", ["sub/]", "sub/a"], ["sub/b"]),
        ("sub/[]", ["sub/[]"], ["sub/a"]),
        ("sub/[!]", ["sub/[!]"], ["sub/a"]),
        ("sub/[a", ["sub/[a"], ["sub/a"]),
        ("sub/[z-a]", [], ["sub/z", "sub/a", "sub/m"]),
        ("sub/[--a]", ["sub/-", "sub/A"], ["sub/b"]),
        ("sub/[a&&b]", ["sub/a", "sub/&", "sub/b"], ["sub/c"]),
        ("sub/[[a]", ["sub/[", "sub/a"], ["sub/b"]),
        ("sub/[^a]", ["sub/^", "sub/b"], ["sub/a"]),
        ("a.b/c+d(e)", ["a.b/c+d(e)"], ["axb/c+d(e)"]),
        ("sub/é*", ["sub/é", "sub/été"], ["sub/e"]),
    ],
)
def test_excludes_are_names_or_paths_below_the_folder(exclude: str, out: list[str], stays: list[str]) -> None:
    selection = Selection(excludes=(exclude,), recursive=True)
    for path in out + stays:
        below, _, name = path.rpartition("/")
        prefix = below.encode() + b"/" if below else b""
        counts = path in stays
        assert selection.patterns_of(name.encode(), prefix) == ((0,) if counts else ()), path
        assert selection.enters(name.encode(), prefix) is counts, path


@given(
    glob=st.text("ab*?[]!-^&~|/\\.é", min_size=1, max_size=10),
    path=st.text("ab/]-[^", min_size=1, max_size=8),
)
@QUICK
def test_any_path_glob_can_be_asked(glob: str, path: str) -> None:
    selection = Selection(excludes=("sub/" + glob,), recursive=True)
    selection.patterns_of(path.replace("/", "").encode() or b"x", b"sub/")
    plain = re.sub(r"[\[\]*?!\\]", "", glob).strip("/")
    if plain == glob and "//" not in glob:
        below, _, name = f"sub/{glob}".rpartition("/")
        assert selection.patterns_of(name.encode(), below.encode() + b"/") == ()


@given(first=st.text("ab*?[!]-", min_size=1, max_size=6), name=st.text("ab-!]x", min_size=1, max_size=4))
@QUICK
def test_within_one_component_a_path_glob_is_a_name_glob(first: str, name: str) -> None:
    if "**" in first:
        first = first.replace("**", "*")
    selection = Selection(excludes=("sub/" + first,), recursive=True)
    is_out = selection.patterns_of(name.encode(), b"sub/") == ()
    assert is_out is bool(Selection((first,), hidden=True).patterns_of(name.encode(), b""))
