"""``/api/v1/files``: what may be asked, and what is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fexp.listed import FileQuery, Listed, ListedFile
from fexp.model import Snapshot
from fexp.outputs.http.file_query import RefusedError, read_query
from tests.http.serving import MemoryServed, ask, make_folder, running

if TYPE_CHECKING:
    from fexp.model import FolderSnapshot

SNAPSHOT = Snapshot((make_folder("/in"), make_folder("/out", "*.csv")))


def _hidden(folder: str) -> FolderSnapshot:
    return make_folder(folder)._replace(hides_names=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", FileQuery(Listed.OLDEST, 20)),
        ("folder=&pattern=&list=&limit=20", FileQuery(Listed.OLDEST, 20)),
        ("list=empty&limit=100&folder=%2Fin", FileQuery(Listed.EMPTY, 100, {"folder": "/in"})),
        ("pattern=*.csv&site=north", FileQuery(Listed.OLDEST, 20, {"pattern": "*.csv", "site": "north"})),
    ],
)
def test_a_query_is_a_list_a_limit_and_labels(query: str, expected: FileQuery) -> None:
    assert read_query(query, SNAPSHOT) == expected


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("list=biggest", "list biggest: give one of oldest, newest, "),
        ("limit=0", "limit 0: give a whole number from 1 to 100"),
        ("limit=1001", "limit 1001: "),
        ("limit=%C2%B2", "limit ²: "),
        ("limit=" + "9" * 5000, "limit 999"),
        ("folder=/elsewhere", "folder /elsewhere: no folder that is watched has this label"),
        ("folder=/in&pattern=*.csv", "pattern *.csv: "),
        ("patern=*.csv", "patern is unknown: give list, limit or a label, folder, pattern, site"),
        ("folder=/in&folder=/out", "folder is given twice"),
        ("folder=%1b[31m%0a", "folder \\x1b[31m\\n: "),
        ("&".join(f"a{n}=1" for n in range(65)), "there are more than 64 parameters"),
        ("list=stalled", "list stalled: fexp was not asked to count such files here (stalled_files)"),
    ],
)
def test_what_makes_no_sense_is_refused_with_one_line(query: str, line: str) -> None:
    with running(MemoryServed(SNAPSHOT.folders)) as server:
        reply = ask(server, f"/api/v1/files?{query}")
    assert reply.status == 400
    text = reply.body.decode()
    assert text.startswith(line)
    assert (text.count("\n"), text.isprintable(), len(text) < 400) == (1, False, True)
    assert text.rstrip("\n").isprintable()


def test_the_answer_names_files_so_that_each_can_be_told() -> None:
    file = ListedFile("/in", b"a\xff\\\x1b", ("*.txt",), {"site": "north"}, 3, 1.5, 2.5)
    down = make_folder("/gone", up=False)
    served = MemoryServed((make_folder("/in"), down, _hidden("/clinic")), listed=(file,))
    with running(served) as server:
        assert json.loads(ask(server, "/api/v1/files?list=newest&limit=5").body) == {
            "list": "newest",
            "limit": 5,
            "files": [
                {
                    "folder": "/in",
                    "path": r"a\xff\\\x1b",
                    "patterns": ["*.txt"],
                    "labels": {"site": "north"},
                    "size_bytes": 3,
                    "modified_at": 1.5,
                    "arrived_at": 2.5,
                }
            ],
            "down": ["/gone"],
            "hidden": ["/clinic"],
        }
        assert json.loads(ask(server, "/api/v1/files?folder=/in").body)["down"] == []
        assert ask(server, "/api/v1/files?folder=/clinic").status == 403
    assert served.queries == [FileQuery(Listed.NEWEST, 5), FileQuery(Listed.OLDEST, 20, {"folder": "/in"})]


def test_who_hides_all_names_answers_none() -> None:
    with pytest.raises(RefusedError, match="no_file_names") as refused:
        read_query("", Snapshot((_hidden("/a"), _hidden("/b"))))
    assert refused.value.status == 403
