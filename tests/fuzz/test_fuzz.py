"""The same targets in the gate: findings that were made, and what hypothesis thinks of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, feed

FOUND = [
    ("mounts", "1 2 3:4 / /x rw -"),
    ("one-name", "\0\udcce\0\udcbd*"),
    ("selection", "a/[z-a]\na/[!]"),
]
"""Inputs that once broke something: the target, the text."""

_ALPHABET = st.characters(codec="utf-8") | st.sampled_from("[]{}!*?/\\=:.,;\"'\n\udcff-&%@ 019az")


@pytest.mark.parametrize(("target", "text"), FOUND)
def test_what_was_found_stays_mended(target: str, text: str) -> None:
    feed(target, text)


@pytest.mark.parametrize("target", TARGETS)
def test_any_text_is_taken_or_refused_in_one_line(target: str) -> None:
    @settings(max_examples=150)
    @given(st.text(_ALPHABET, max_size=60))
    def any_text(text: str) -> None:
        feed(target, text)

    any_text()
