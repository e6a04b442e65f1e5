"""Times in order against a sorted list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fexp.counting import times
from fexp.counting.times import Times

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = st.integers(0, 8).map(float) | st.floats(-2e9, 2e9)


@pytest.fixture(autouse=True, scope="module")
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times, "_BLOCK", 2)
        yield


@settings(max_examples=100)
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(NUMBERS, max_size=9)), max_size=8))
def test_it_is_a_sorted_list(steps: list[tuple[bool, list[float]]]) -> None:
    numbers, truth = Times(), list[float]()
    for is_added, some in steps:
        if is_added:
            numbers.add(some)
            truth += some
        else:
            gone = [truth.pop(int(number) % len(truth)) for number in some if truth]
            numbers.remove(gone)
        truth.sort()
        assert list(memoryview(bytes(numbers)).cast("d")) == truth
        assert len(numbers) == len(truth)


@settings(max_examples=200)
@given(some=st.lists(NUMBERS), moment=NUMBERS)
def test_what_is_past_is_forgotten(some: list[float], moment: float) -> None:
    numbers = Times()
    numbers.add(some)
    numbers.forget_until(moment)
    left = sorted(number for number in some if number > moment)
    assert list(memoryview(bytes(numbers)).cast("d")) == left
    assert numbers.first == min(left, default=float("inf"))
    numbers.add([1e10])
    assert len(numbers) == len(left) + 1


def test_all_of_them_go_at_once() -> None:
    numbers = Times()
    numbers.add([float(number) for number in range(100)])
    numbers.remove([float(number) for number in range(100)])
    assert (len(numbers), numbers.first) == (0, float("inf"))
    numbers.add([3.0])
    assert numbers.first == 3.0
