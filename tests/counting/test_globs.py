"""Globs are read as shells read them: a real one is asked about the same globs and names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fexp.counting.globs import name_matcher, path_matcher
from fexp.counting.selection import Selection, pattern_of_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="there is no bash to ask")
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
MATCH_ALL = """
mapfile -d '' globs; names=("$@")
for glob in "${globs[@]}"; do
    row=
    for name in "${names[@]}"; do case $name in $glob) row+=1 ;; *) row+=0 ;; esac; done
    echo "$row"
done
"""
THOROUGH = settings(max_examples=150)

CHARACTERS = list("ab!-]^[*?\\:=.é1B\n")
PIECES = [*CHARACTERS, "[!", "[^", "[a-", "[]", "*", "[[:digit:]]", "[:alpha:]", "[:upper:]", "[.-.]", "[=b=]", "[:x:]"]


def _is_specified(glob: str) -> bool:
    """Return whether POSIX leaves nothing open: no glob that ends in a range, no range that ends in a class."""
    return not glob.endswith(("-", "\\")) and "-[:" not in glob and "-[=" not in glob


GLOBS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join).filter(_is_specified)
NAMES = st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=4).map("".join)


def bash_matches(globs: list[str], names: list[bytes], setting: str = "") -> list[list[bool]]:
    """Return for each glob which names bash says it matches."""
    assert BASH is not None
    told = subprocess.run(
        [BASH, "-c", setting + MATCH_ALL, "bash", *names],
        input=b"".join(os.fsencode(glob) + b"\0" for glob in globs),
        env=ENVIRONMENT,
        capture_output=True,
        check=True,
    )
    rows = told.stdout.split()
    assert not told.stderr
    assert len(rows) == len(globs)
    return [[digit == ord("1") for digit in row] for row in rows]


def assert_as_bash(globs: list[str], names: list[bytes], *, ignore_case: bool = False) -> None:
    shell = bash_matches(globs, names, "shopt -s nocasematch" if ignore_case else "")
    for glob, row in zip(globs, shell, strict=True):
        matches = name_matcher(glob, ignore_case=ignore_case)
        assert {name: matches(name) for name in names} == dict(zip(names, row, strict=True)), glob


@needs_bash
@given(globs=st.lists(GLOBS, min_size=1, max_size=20), names=st.lists(NAMES, min_size=1, max_size=20))
@example(globs=["[[:digit:]]*", "a\\[1\\].txt", "[^a]*"], names=["1", "a[1].txt", "a\\[1\\].txt", "^"])
@example(globs=["[]a]", "[!]a]", "[a-]", "[-a]", "[--a]", "[z-a]", "[!z-a]"], names=[*"]a-bz!", "a]"])
@example(globs=["[", "[]", "[!]", "[\\]", "[[:digit:]", "[[:"], names=["[", "[]", "[!]", "[[:", "[d", "1"])
@example(globs=["[[.hyphen.]]", "[[.-.]-a]", "[[.].]]", "[[=a=]b]", "[[.no.]]"], names=list("-a]b."))
@THOROUGH
def test_a_glob_matches_as_a_shell_says(globs: list[str], names: list[str]) -> None:
    # A glob is a good name to ask about: it is what a bracket that is none matches.
    assert_as_bash(globs, [name.encode() for name in [*names, *CHARACTERS, *globs]])


@needs_bash
@given(globs=st.lists(GLOBS, min_size=1, max_size=20), names=st.lists(NAMES, min_size=1, max_size=20))
@THOROUGH
def test_ignoring_case_matches_as_a_shell_says(globs: list[str], names: list[str]) -> None:
    assert_as_bash(globs, [name.encode() for name in [*names, "A", "Ab", "É", "ÉB"]], ignore_case=True)


@needs_bash
@given(
    globs=st.lists(GLOBS.filter(str.isascii), min_size=1, max_size=20),
    names=st.lists(
        st.lists(st.sampled_from([b"a", b"]", b"\xff", b"\x80", b"."]), min_size=1, max_size=4).map(b"".join),
        min_size=1,
        max_size=20,
    ),
)
@THOROUGH
def test_a_byte_that_is_no_utf8_is_one_character(globs: list[str], names: list[bytes]) -> None:
    assert_as_bash(globs, names)


@needs_bash
def test_classes_hold_the_characters_that_a_shell_says() -> None:
    classes = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
        "word", "xdigit",
    ]  # fmt: skip
    ranges = range(1, 0xB0), range(0xC0, 0x180), range(0x391, 0x3A2), range(0x400, 0x460), range(0x4E00, 0x4E10)
    names = [chr(number).encode() for numbers in ranges for number in numbers if chr(number) != "/"]
    assert_as_bash([f"[[:{name}:]]" for name in classes] + [f"[![:{name}:]]" for name in classes], names)


@pytest.mark.parametrize(("kind", "belongs"), [("upper", str.isupper), ("lower", str.islower)])
def test_every_letter_has_its_case(kind: str, belongs: Callable[[str], bool]) -> None:
    matches = name_matcher(f"[[:{kind}:]]", ignore_case=False)
    letters = filter(belongs, map(chr, range(sys.maxunicode + 1)))
    assert not [letter for letter in letters if not matches(letter.encode())]


@needs_bash
def test_characters_have_the_names_that_posix_gives_them() -> None:
    names = ["space", "dollar-sign", "slash", "hyphen", "nine", "at", "commercial-at", "left-square-bracket", "tilde"]
    assert_as_bash(
        [f"[[.{name}.]]" for name in names], [bytes([number]) for number in range(32, 127) if number != ord("/")]
    )


TYPED = [
    "*", "?", "*.txt", "[[:digit:]]*", "a\\[1\\].txt", "[!a]*", "[]a]*", "[a-]*", "[a", "*\\*", "a\\\\b",
    "[[:alpha:]]*", "*[[:upper:]]*", "a?1?.txt", "*[!t]", "[.]*", "[!.]*", "[[:punct:]]*", "*é*", "[à-ü]*", "[^a]*",
    "[[.hyphen.]]*",
]  # fmt: skip
IN_A_DIRECTORY = [
    "a", "b", "a.txt", "1.csv", "2", "a[1].txt", "a1.txt", "]", "-", "-x", "[a", "[b", "a*", "a\\b", "B.TXT", "é",
    "ü.txt", ".hidden", ".a.txt", "_", "^", "#a#",
]  # fmt: skip


@pytest.mark.parametrize(("shell", "hidden"), [("bash", False), ("bash", True), ("sh", False)])
def test_what_counts_is_what_ls_lists(tmp_path: Path, shell: str, *, hidden: bool) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip("there is no such shell")
    names, globs = IN_A_DIRECTORY, TYPED
    if shell == "sh":  # a small one knows bytes only, and one way to say "not"
        names = list(filter(str.isascii, names))
        globs = [glob for glob in globs if glob.isascii() and "[^" not in glob and "[[." not in glob]
    for name in names:
        (tmp_path / name).touch()
    for glob in globs:
        command = f"{'shopt -s dotglob; ' if hidden else ''}ls -1dU -- {glob}"
        told = subprocess.run(
            [program, "-c", command], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False
        )  # fails when nothing matches
        selection = Selection((glob,), hidden=hidden)
        assert {name for name in map(str.encode, names) if selection.patterns_of(name, b"")} == {
            *told.stdout.splitlines()
        }


@given(
    name=st.binary(min_size=1, max_size=12).filter(lambda raw: not set(raw) & {0, ord("/")})
    | st.text("a\\[]*?!-^.", min_size=1, max_size=8).map(str.encode)
)
@THOROUGH
def test_the_pattern_of_a_name_matches_that_name_and_no_other(name: bytes) -> None:
    matches = name_matcher(pattern_of_name(os.fsdecode(name)), ignore_case=False)
    assert matches(name)
    others = [name + b"x", b"x" + name, name[:-1], name[1:], b"\\" + name, name.replace(b"\\", b"")]
    assert not any(matches(other) for other in others if other != name)
    for special in b"*?[]\\":
        assert not any(matches(other) for at in range(len(name)) if (other := _with(name, at, special)) != name)


def _with(name: bytes, at: int, byte: int) -> bytes:
    return name[:at] + bytes([byte]) + name[at + 1 :]


@needs_bash
@given(name=NAMES)
@THOROUGH
def test_a_shell_knows_the_pattern_of_a_name_too(name: str) -> None:
    assert bash_matches([pattern_of_name(name)], [name.encode(), name.encode() + b"x"]) == [[True, False]]


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("a[!b]c/d", ["axc/d", "a]c/d"], ["a/c/d", "abc/d"]),
        ("a[^b]c/d", ["axc/d"], ["a/c/d"]),
        ("a[.-0]c/d", ["a.c/d", "a0c/d"], ["a/c/d"]),
        ("a[[:punct:]]c/d", ["a.c/d"], ["a/c/d"]),
        ("a?c/d", ["axc/d"], ["a/c/d"]),
        ("a*c/d", ["ac/d", "axyc/d"], ["a/c/d"]),
        ("a[b/c]d", ["a[b/c]d"], ["abd", "acd", "a/d"]),
        ("a\\*/b", ["a*/b"], ["ax/b", "a\\*/b"]),
        ("a//b", ["a/b"], ["a/x/b"]),
        ("**/x*/**/y*z", ["x/yz", "a/xb/c/d/yaz", "x/x/y/yz"], ["yz", "x/y/z", "a/yz", "x/yza"]),
        ("**/**/x", ["x", "a/x", "a/b/x"], ["ax", "x/a"]),
        ("a/**/b/**", ["a/b/c", "a/x/b/c/d"], ["a/b", "b/c", "a/xb/c"]),
        ("a**b/c", ["ab/c", "axb/c"], ["a/b/c"]),
        ("x/**", ["x/a", "x/a/b"], ["x", "y/x/a"]),
        ("**/", ["a", "a/b"], []),
    ],
)
def test_a_path_glob_keeps_to_its_components(glob: str, inside: list[str], outside: list[str]) -> None:
    matches = path_matcher(glob, ignore_case=False)
    assert [path for path in inside + outside if matches(path.encode())] == inside


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "glob", ["*a" * 40 + "*b", "*[ab]?*" * 30 + "b", "*?" * 40 + "c", "a*" * 60 + "[!a]", "?*" * 90 + "c"]
)
@pytest.mark.parametrize("ignore_case", [False, True])
def test_no_name_keeps_a_glob_busy(glob: str, *, ignore_case: bool) -> None:
    """A star that takes back what it took would try more ways than there are atoms."""
    matches = name_matcher(glob, ignore_case=ignore_case)
    for _ in range(100):
        assert not matches(b"a" * 255)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "glob", ["**/a*a*a*/" * 12 + "b", "*a*a*a*a*a*a/" * 8 + "b", "**/a/" * 30 + "**/b", "**/**/" * 30 + "b"]
)
def test_no_path_keeps_a_glob_busy(glob: str) -> None:
    matches = path_matcher(glob, ignore_case=False)
    assert not matches(b"a/" * 2000 + b"a")
    assert not matches((b"a" * 200 + b"/") * 20 + b"a")
