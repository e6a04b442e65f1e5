"""Twenty-five mistakes that exporters make at their receiving ends, and the tests that say fexp does not make them.

A test names the mistake that it guards against in its docstring or its id, as "mistake 7".
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MISTAKES = {
    1: "a temporary file whose name ends in .prom is read half-written",
    2: "a predictable temporary name in a shared directory follows a planted symlink",
    3: "a .prom file that nobody else may read, by umask or mkstemp",
    4: "no heartbeat: a quiet folder looks like a dead exporter",
    5: "writing or pushing on every single event",
    6: "process_* in a textfile, where node_exporter has its own",
    7: "another HELP or TYPE for one name in two files or two versions",
    8: "timestamps in a textfile or a push",
    9: "OpenMetrics or quoted names where only text 0.0.4 is read",
    10: "no last line feed, or CRLF",
    11: "a file name that is no UTF-8 breaks the whole scrape",
    12: "two raw names that look the same become duplicate series",
    13: "one failing folder takes all metrics along",
    14: "a redirected POST becomes a GET, and the data is gone",
    15: "a time-out that is not total, no retry, a retried 400, a hidden reason",
    16: "grouping values such as . .. / and nothing in their plain form",
    17: "a grouping key without the instance, or with a metric's own label",
    18: "groups that are never deleted",
    19: "the wrong kind of snappy",
    20: "remote write: unsorted labels, new timestamps on retry, no stale marker, one bad sample sinks the batch",
    21: "a server that one idle client stops, bound to everything, with metrics on every path",
    22: "bcrypt without a cache, and passwords of more than 72 bytes",
    23: "systemd settings that change what is measured; READY before the first look; a watchdog that proves nothing",
    24: "a cron.d file with a dot, without a last newline, with a bare %, that talks; a failure that empties the file",
    25: "ages instead of timestamps, _total on gauges, labels such as type or env that are not its to give",
}

_NAMED = re.compile(r"mistakes?[ _](\d+(?:(?:, | and |, and |_)\d+)*)", re.IGNORECASE)


def _named() -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for path in Path(__file__).parent.rglob("test_*.py"):
        if path.name != Path(__file__).name:
            for numbers in _NAMED.findall(path.read_text()):
                for number in re.findall(r"\d+", numbers):
                    found.setdefault(int(number), set()).add(path.name)
    return found


@pytest.mark.parametrize("number", MISTAKES)
def test_every_mistake_is_guarded_against(number: int) -> None:
    assert _named().get(number), f"no test names mistake {number}: {MISTAKES[number]}"
