r"""Globs as a POSIX shell reads them: ``*``, ``?``, ``[a-z]``, ``[!a]``, ``[[:digit:]]``, and ``\*`` for a star.

Where POSIX leaves the meaning open, bash decides: ``[^a]`` is ``[!a]``, an unknown class has no members, and a bracket
that nothing closes is plain. A byte that is no UTF-8 is a character of its own.

Matching takes at most the length of the name times that of the glob: what stands before a ``*`` is never tried again.
"""

from __future__ import annotations

import os
import re
from functools import cache
from itertools import chain, groupby, starmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Matches = Callable[[bytes], bool]

SPECIAL = re.compile(r"[*?\[\\]")

# What follows is compiled only when a glob needs it.
_ITEM = r"""(?xs: \[:(?P<kind>.*?):\] | \[=(?P<equal>.)=\]
    | (?P<low>\A\] | \[\..*?\.\] | \\. | (?!\[\.)[^]\\]) (?:-(?P<high>\[\..*?\.\] | \\. | (?!\[\.)[^]\\]))?+ )"""
_PIECE = rf"""(?xs: (?P<many>\*+) | (?P<one>\?) | \[(?P<sign>[!^])?+(?P<items>\]?+{_ITEM}*+)\]
    | \\(?P<escaped>.) | (?P<plain>.) )"""

_UNPRINTABLE = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
_SPACE = r" \t-\r\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000"
_CLASSES = {
    "alnum": r"[^\W_]",
    "alpha": r"[^\W\d_]",
    "ascii": r"[\x00-\x7f]",
    "blank": r"[ \t]",
    "cntrl": r"[\x00-\x1f\x7f-\x9f]",
    "digit": r"[0-9]",
    "graph": rf"[^{_SPACE}{_UNPRINTABLE}]",
    "print": rf"[^{_UNPRINTABLE}]",
    "punct": rf"[^\w{_SPACE}{_UNPRINTABLE}]|_",
    "space": rf"[{_SPACE}]",
    "word": r"\w",
    "xdigit": r"[0-9A-Fa-f]",
}
_CASED = (0, 0x2E00), (0xA640, 0xAC00), (0xFB00, 0x12000), (0x16E00, 0x17000), (0x1D400, 0x1F200)
"""Where letters that have case are: to ask all of Unicode takes longer than many a look."""
_NOTHING = "(?!)"


def _symbols() -> dict[str, str]:
    """Return the punctuation and digits of ASCII by their names in POSIX."""
    from_space = (
        "space exclamation-mark quotation-mark number-sign dollar-sign percent-sign ampersand apostrophe"
        " left-parenthesis right-parenthesis asterisk plus-sign comma hyphen period slash zero one two three four five"
        " six seven eight nine colon semicolon less-than-sign equals-sign greater-than-sign question-mark commercial-at"
    )
    from_bracket = "left-square-bracket backslash right-square-bracket circumflex underscore grave-accent"
    from_brace = "left-brace vertical-line right-brace tilde"
    starts = (" ", from_space), ("[", from_bracket), ("{", from_brace)
    return {name: chr(ord(first) + n) for first, names in starts for n, name in enumerate(names.split())}


def name_matcher(glob: str, *, ignore_case: bool) -> Matches:
    """Return the function that says whether a name matches. The usual globs (``*``, ``*.txt``) never leave bytes."""
    if glob == "*":
        return lambda _: True
    if not ignore_case and glob.startswith("*") and not SPECIAL.search(glob[1:]):
        suffix = os.fsencode(glob[1:])
        return lambda name: name.endswith(suffix)
    if not ignore_case and not SPECIAL.search(glob):
        literal = os.fsencode(glob)
        return lambda name: name == literal
    return _matcher(_component(glob), ignore_case=ignore_case)


def path_matcher(glob: str, *, ignore_case: bool) -> Matches:
    """Return the function that says whether a path matches.

    ``*``, ``?`` and ``[]`` stay within a component; ``**`` spans any number of them.
    """
    *directories, last = filter(None, glob.split("/"))
    parts = [""]
    for directory in directories:
        if directory == "**":
            parts.append("")
        else:
            parts[-1] += f"{_component(directory)}/"
    parts[-1] += ".+" if last == "**" else _component(last)
    return _matcher(_starred(parts, "(?:[^/]++/)"), ignore_case=ignore_case)


def _matcher(regex: str, *, ignore_case: bool) -> Matches:
    matches = re.compile(f"(?s:{regex})", re.IGNORECASE if ignore_case else 0).fullmatch
    return lambda name: matches(os.fsdecode(name)) is not None


def _starred(parts: list[str], repeated: str) -> str:
    """Join regexes by a star. Where one between two stars is found first it stays: no other place leaves more room."""
    first, *middle = parts
    if not middle:
        return first
    *middle, last = middle
    return first + "".join(f"(?>{repeated}*?{part})" for part in middle) + f"{repeated}*{last}"


def _component(glob: str) -> str:
    """Return the regex for a glob on a name."""
    parts = [""]
    for piece in re.finditer(_PIECE, glob):
        if piece["many"]:
            parts.append("")
        elif piece["one"]:
            parts[-1] += "[^/]"
        elif piece["items"]:
            parts[-1] += _bracket(piece["items"], "!" if piece["sign"] else "=")
        else:
            parts[-1] += re.escape(piece["escaped"] or piece["plain"])
    return _starred(parts, "[^/]")


def _bracket(items: str, sign: str) -> str:
    members, classes = "", []
    for item in re.finditer(_ITEM, items):
        if item["kind"] is not None:
            classes.append(_class(item["kind"]))
        elif item["equal"]:
            members += re.escape(item["equal"])
        else:
            low = _end(item["low"])
            high = _end(item["high"]) if item["high"] else low
            if low and low <= high:
                members += f"{re.escape(low)}-{re.escape(high)}"
    choices = [f"[{members}]"] if members else []
    return f"(?{sign}{'|'.join(choices + classes) or _NOTHING})[^/]"


def _class(kind: str) -> str:
    if kind in ("upper", "lower"):
        return f"(?-i:[{_cased(kind)}])"  # a class keeps to its case, as in bash
    return _CLASSES.get(kind, _NOTHING)


@cache
def _cased(kind: str) -> str:
    has_case = str.isupper if kind == "upper" else str.islower
    characters = map(chr, chain.from_iterable(starmap(range, _CASED)))
    runs = [list(run) for belongs, run in groupby(characters, has_case) if belongs]
    return "".join(f"{run[0]}-{run[-1]}" for run in runs)


def _end(text: str) -> str:
    """Return the character that an end of a range stands for; "" for none."""
    if text.startswith("\\"):
        return text[1]
    if not text.startswith("[."):
        return text
    name = text[2:-2]
    return name if len(name) == 1 else _symbols().get(name, "")
