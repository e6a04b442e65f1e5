"""Twenty-five mistakes that exporters make at their receiving ends, and the tests that say fexp does not make them.

A test names in its docstring the clauses that it guards against, as "Mistake 3" or "Mistakes 4a, 18b".
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

CLAUSES = {
    "1a": "a temporary file that is read half-written, as its name ends in .prom",
    "1b": "a target that node_exporter never reads, or hangs on",
    "2a": "a predictable temporary name in a shared directory follows a planted symlink",
    "2b": "a predictable lock in a shared directory follows one",
    "3": "a .prom file that nobody else may read, by umask or mkstemp",
    "4a": "a quiet folder's file looks like that of a dead exporter",
    "4b": "so does its push",
    "4c": "a heartbeat that comes later the slower the receiver is",
    "5a": "writing or pushing on every single event",
    "5b": "writing or pushing what is there already",
    "6a": "process_* in a textfile, where node_exporter has its own",
    "6b": "process_* in a push",
    "7a": "another HELP or TYPE for one name in two files",
    "7b": "another TYPE for one name in two versions",
    "7c": "a gateway's refusal of it that nobody reads",
    "8a": "timestamps in a textfile",
    "8b": "timestamps in a push",
    "9a": "OpenMetrics in a textfile",
    "9b": "OpenMetrics in a push",
    "9c": "names that want quotes",
    "10a": "a textfile without a last line feed, or with CRLF",
    "10b": "a push without or with them",
    "11a": "a file name that is no UTF-8 breaks the whole scrape",
    "11b": "it breaks the textfile",
    "11c": "it breaks the push",
    "11d": "it breaks remote write",
    "12": "two raw names that look the same become duplicate series",
    "13a": "one failing folder takes the whole scrape along",
    "13b": "one failing folder takes a one-shot's delivery along",
    "14a": "a redirected delivery loses its body, and is told as a success",
    "14b": "an upgrade to https that loses it",
    "14c": "a redirect to a stranger is followed",
    "15a": "a time-out that is not total",
    "15b": "no retry where one would help",
    "15c": "a retry where none can help",
    "15d": "a reason that the receiver gave and nobody sees",
    "15e": "an answer that was cut counts as one",
    "16": "grouping values such as . .. / and nothing in their plain form",
    "17a": "hosts that overwrite each other, as the key or the labels lack the instance",
    "17b": "a key with a metric's own label",
    "18a": "what is gone here stays in the group",
    "18b": "the group outlives a clean stop",
    "18c": "groups of hosts that are gone stay for ever",
    "18d": "no alert on the age of a push",
    "18e": "what is true of a Pushgateway believed of every receiver",
    "19a": "snappy to a gateway that may not know it",
    "19b": "framed snappy to remote write",
    "19c": "another version or encoding than the receiver is told",
    "20a": "labels unsorted, twice or empty",
    "20b": "a new timestamp on a retry",
    "20c": "no stale marker",
    "20d": "one bad sample that sinks or blocks the rest",
    "20e": "what a receiver in trouble refused is dropped",
    "21a": "idle clients that stop the server",
    "21b": "a TLS handshake that stops it",
    "21c": "bound to every address unless told otherwise",
    "21d": "as many threads or connections as clients like",
    "21e": "no HEAD",
    "21f": "metrics on every path, of health too",
    "21g": "no page for people",
    "22a": "bcrypt anew for each request",
    "22b": "bcrypt for many at once",
    "22c": "a password that bcrypt cannot take is a 500",
    "22d": "the time that it takes tells which users there are",
    "23a": "a unit's directive silently changes what is measured",
    "23b": "READY, or a first delivery, before the first look",
    "23c": "a watchdog fed by what proves nothing",
    "24a": "a dot in the name of cron's file",
    "24b": "no newline at its end",
    "24c": "a command that cron's PATH does not find",
    "24d": "a bare percent sign",
    "24e": "a job that talks when all is well",
    "24f": "a failure that empties the file",
    "25a": "ages instead of timestamps",
    "25b": "_total or _count on a gauge",
    "25c": "labels such as type or env that are not its to give",
    "25d": "a series for each file",
}

_CLAUSE = r"[1-9]\d?[a-z]?\b"
_NAMED = re.compile(rf"\bMistakes? ({_CLAUSE}(?:, {_CLAUSE})*)")


def _named() -> dict[str, list[str]]:
    """The tests that name each clause."""
    found: dict[str, list[str]] = {}
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for clauses in _NAMED.findall(ast.get_docstring(node) or ""):
                    for clause in clauses.split(", "):
                        found.setdefault(clause, []).append(f"{path.name}::{node.name}")
    return found


def test_each_mistake_has_a_test_that_names_it() -> None:
    named = _named()
    assert not {clause: text for clause, text in CLAUSES.items() if clause not in named}
    assert not {clause: tests for clause, tests in named.items() if clause not in CLAUSES}


def test_the_list_is_of_twenty_five() -> None:
    assert {int(re.sub("[a-z]", "", clause)) for clause in CLAUSES} == set(range(1, 26))
