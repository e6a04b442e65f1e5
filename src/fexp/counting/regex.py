"""Regular expressions on paths, by RE2: whatever the name, a search takes time in proportion to its length."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def _compiled(regex: str, *, by_byte: bool = False) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    if by_byte:
        options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(os.fsencode(regex), options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None


@cache
def label_names(regex: str) -> tuple[str, ...]:
    """Return the names of its groups, in order. Raise ImportError without RE2, ValueError for what it cannot take."""
    index_of = _compiled(regex).groupindex
    return tuple(name.decode() for name in sorted(index_of, key=index_of.__getitem__))


@cache
def search_function(regex: str) -> Callable[[bytes], tuple[bytes, ...] | None]:
    """Return the function from a path to what the named groups found; None when the regex is not in it.

    A path that is no UTF-8 is searched byte by byte.
    """
    search = _compiled(regex).search
    indexes = sorted(_compiled(regex).groupindex.values())

    def find(path: bytes) -> tuple[bytes, ...] | None:
        match = search(path) if _is_text(path) else _compiled(regex, by_byte=True).search(path)
        return None if match is None else tuple([match[index] or b"" for index in indexes])

    return find


def _is_text(path: bytes) -> bool:
    if path.isascii():
        return True
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True
