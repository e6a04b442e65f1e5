"""Whether files may count twice: what is denied is certain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting.group_by import GroupBy
from fexp.counting.overlaps import may_count_twice
from fexp.counting.selection import Folder, Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

PATTERNS = st.lists(
    st.sampled_from(["*", "*.csv", "*.gz", "*.tar.gz", "*.CSV", "a.csv", "a.gz", "[a]*", "b*", "a\\.gz", "*gz"]),
    min_size=1,
    max_size=3,
    unique=True,
)
NAMES = [b"a.csv", b"A.csv", b"a.CSV", b"a.gz", b"a.tar.gz", b"b.gz", b"b", b".gz"]


def _folder(path: str, **selection: Any) -> tuple[bytes, Folder]:
    return path.encode(), Folder(path.encode(), path, Selection(**selection))


@given(patterns=PATTERNS, ignore_case=st.booleans())
@settings(max_examples=100)
def test_patterns(patterns: list[str], ignore_case: bool) -> None:
    (path, folder) = _folder("/in", patterns=tuple(patterns), ignore_case=ignore_case)
    if not may_count_twice([(path, folder)]):
        assert all(len(folder.selection.patterns_of(name, b"")) <= 1 for name in NAMES)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*"], False),
        (["*.csv", "*.xml"], False),
        (["*.csv", "*.CSV"], False),
        (["a.csv", "b.csv"], False),
        (["*.csv", "a.gz"], False),
        (["*.gz", "*.tar.gz"], True),
        (["*.csv", "a.csv"], True),
        (["*", "*.csv"], True),
        (["a*", "*.csv"], True),
    ],
)
def test_endings_and_names_are_known(patterns: Sequence[str], expected: bool) -> None:
    assert may_count_twice([_folder("/in", patterns=tuple(patterns))]) is expected


def test_a_file_has_one_extension() -> None:
    path, folder = _folder("/in", patterns=("*", "*.csv"))
    grouped = Folder(path, "/in", folder.selection, group_by=GroupBy(extensions_max=3))
    assert not may_count_twice([(path, grouped)])


@pytest.mark.parametrize(
    ("paths", "above", "expected"),
    [
        (["/a", "/b"], {"recursive": True}, False),
        (["/a", "/a/b"], {}, False),
        (["/a", "/a/b"], {"recursive": True}, True),
        (["/a", "/ab"], {"recursive": True}, False),
        (["/", "/a/b"], {"recursive": True}, True),
        (["/a", "/a/b/c"], {"recursive": True, "max_depth": 2}, False),
        (["/a", "/a/b/c"], {"recursive": True, "max_depth": 3}, True),
        (["/a", "/a/.b"], {"recursive": True}, False),
        (["/a", "/a/b/c"], {"recursive": True, "excludes": ("b",)}, False),
        (["/a", "/a"], {}, True),
    ],
)
def test_a_folder_below_another(paths: Sequence[str], above: dict[str, Any], expected: bool) -> None:
    assert may_count_twice([_folder(paths[0], **above), *(_folder(path) for path in paths[1:])]) is expected
    assert may_count_twice([*(_folder(path) for path in paths[1:]), _folder(paths[0], **above)]) is expected
