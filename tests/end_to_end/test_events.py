"""Following along: what happens in a folder, as it happens, through HTTP."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.end_to_end.running import watching

if TYPE_CHECKING:
    from pathlib import Path

_BURST = 6_000


def test_a_client_hears_of_all_that_happens_from_its_first_line_on(tmp_path: Path) -> None:
    """A burst is told to the last file to a client that keeps reading; who joins need not wait to hear the first."""
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "file").write_text("12345")
    with watching(str(data), "--ext", "txt", "--listen", "127.0.0.1:0") as fexp:
        address = urlsplit(fexp.url)
        with (
            socket.create_connection((address.hostname, address.port), timeout=20) as client,
            client.makefile("rb") as lines,
        ):
            client.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert lines.readline().startswith(b"HTTP/1.1 200")
            while lines.readline() != b": still here\n":
                pass
            for number in range(_BURST):
                os.link(tmp_path / "file", f"{data}/{number}.txt")
            paths: list[str] = []
            while len(paths) < _BURST:
                line = lines.readline()
                assert not line.startswith(b"event: dropped"), lines.readline()
                if line == b"event: arrival\n":
                    told = json.loads(lines.readline().removeprefix(b"data: "))
                    assert (told["folder"], told["pattern"], told["size_bytes"]) == (str(data), "*.txt", 5)
                    paths.append(told["path"])
            assert sorted(paths) == sorted(f"{number}.txt" for number in range(_BURST))
