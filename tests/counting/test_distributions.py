"""The distributions of ages and sizes: exact, and ages move by themselves."""

from __future__ import annotations

import marshal
import random
from typing import TYPE_CHECKING

import pytest

from fexp.counting.distributions import AgeDistribution, SizeDistribution
from fexp.counting.grouping import ByPattern
from fexp.counting.measures import Measures
from fexp.counting.selection import Selection
from fexp.counting.state import Directory, FolderState
from fexp.counting.table import Table
from fexp.metrics import makers
from fexp.model import FileInfo, Histogram, Instant, KnownFiles
from tests.counting.columns import columns

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = Instant(1.7e9, 1000.0)
BOTH = Measures((60.0, 3600.0), (0.0, 1000.0))


def files_of(*modified_at: float, sizes: tuple[int, ...] = ()) -> KnownFiles:
    count = len(modified_at)
    return KnownFiles([b"f"] * count, sizes or [0] * count, modified_at, [1] * count, [0.0] * count)


def test_ages_move_by_themselves() -> None:
    ages = AgeDistribution((60.0, 3600.0))
    ages.add(files_of(NOW.wall - 30))
    for seconds, counts in ((0, (1, 0, 0)), (30, (1, 0, 0)), (30.5, (0, 1, 0)), (3570, (0, 1, 0)), (3571, (0, 0, 1))):
        at = Instant(NOW.wall + seconds, NOW.steady + seconds)
        assert ages.histogram(at) == Histogram((60.0, 3600.0), counts, 30 + seconds)


def test_a_file_of_the_future_has_no_age_yet() -> None:
    """OpenMetrics: no negative sum without negative buckets."""
    ages = AgeDistribution((60.0,))
    ages.add(files_of(NOW.wall + 1e6))
    assert ages.histogram(NOW) == Histogram((60.0,), (1, 0), 0.0)


def test_bounds_are_included() -> None:
    sizes = SizeDistribution((0.0, 1000.0))
    sizes.add(files_of(*[0.0] * 5, sizes=(0, 1, 1000, 1001, 2**62)))
    assert sizes.histogram(NOW) == Histogram((0.0, 1000.0), (1, 2, 2), 2002 + 2**62)


def test_no_rounding_is_left_behind() -> None:
    """A sum of doubles that are added and taken away again drifts."""
    ages, chosen = AgeDistribution((60.0,)), random.Random(1)
    times = [chosen.uniform(0, 2e9) for _ in range(5000)]
    table = Table("*")
    ages.add_to(table, files_of(*times))
    for first in range(0, 5000, 7):
        ages.remove_from(table, files_of(*times[first : first + 7]))
    assert ages.histogram(NOW) == Histogram((60.0,), (0, 0), 0.0)


@pytest.mark.parametrize("make", makers(BOTH)[-2:])
def test_what_a_process_handed_over_is_merged(make: Callable[[], AgeDistribution]) -> None:
    one, other, both = make(), make(), make()
    one.add(files_of(1.0, NOW.wall, sizes=(5, 5000)))
    other.add(files_of(NOW.wall - 100, sizes=(0,)))
    both.add(files_of(1.0, NOW.wall, NOW.wall - 100, sizes=(5, 5000, 0)))
    handed_over = make()
    handed_over.state = marshal.loads(marshal.dumps(other.state))
    one.merge(handed_over)
    assert one.histogram(NOW) == both.histogram(NOW)


def test_a_folder_has_those_that_are_asked_for() -> None:
    for measures, names in ((Measures(), []), (BOTH, ["file_age_seconds", "file_size_bytes"])):
        state, root = FolderState(ByPattern(Selection()), makers(measures), ()), Directory(b"")
        state.fold(root, {b"f": "a"}, columns({b"f": FileInfo(3, 1.0, 0.0, 1)}), [], NOW)
        assert list(state.groups(NOW)[0].distributions) == names
        assert state.moves is bool(names)
        state.fold(root, {b"f": "l"}, columns({}), [b"f"], NOW)
        assert not state.moves
