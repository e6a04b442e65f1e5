"""Raw names as label values: always UTF-8, never the same for two, never altered without need."""

from __future__ import annotations

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.text import printable, unique_labels

RAW = st.binary(max_size=6) | st.sampled_from([b"\xff", b"\\xff", b"\xff\\xfe", b"\\xff\xfe", b"\\xff\\xfe", b"/a"])


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.lists(RAW, max_size=12))
@settings(max_examples=400)
def test_labels_are_unique_and_text_is_never_altered(raw_names: list[bytes]) -> None:
    """Mistake 12."""
    labels = unique_labels(raw_names)
    assert labels.keys() == set(raw_names)
    assert len(set(labels.values())) == len(labels)
    for raw, label in labels.items():
        label.encode()
        if _is_text(raw):
            assert label.encode() == raw


def test_a_name_that_looks_like_a_made_up_label_does_not_collide() -> None:
    """Mistake 12."""
    made_up = b"\\xff~%08x" % zlib.crc32(b"\xff")
    labels = unique_labels([b"\xff", b"\\xff", made_up])
    assert len(set(labels.values())) == 3
    assert labels[made_up] == made_up.decode()


def test_a_label_is_the_same_in_every_order() -> None:
    names = [b"\xff", b"\\xff", b"plain"]
    assert unique_labels(names) == unique_labels(reversed(names))


def test_bytes_that_are_no_text_are_spelled_out() -> None:
    assert printable(b"/in/\xff\n") == "/in/\\xff\n"
    assert unique_labels([b"/in/\xff"]) == {b"/in/\xff": "/in/\\xff"}
