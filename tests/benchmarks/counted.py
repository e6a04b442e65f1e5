"""The program whose instructions are counted: ``python counted.py fold|engine DIRECTORY FILES``.

It imports no more than it needs, for each import takes seconds under callgrind.
"""

from __future__ import annotations

import gc
import os
import sys

_BATCH = 256


def _fold(names: list[bytes]) -> None:
    from fexp.counting.grouping import ByPattern
    from fexp.counting.measures import Measures
    from fexp.counting.selection import Selection
    from fexp.counting.state import Directory, FolderState
    from fexp.metrics import makers
    from fexp.model import ARRIVED, LEFT, FileColumns, Instant

    now = Instant(2e9, 1e6)
    made = makers(Measures(), now)
    state, root = FolderState(ByPattern(Selection(("*",))), made, (1.0, 60.0, 3600.0)), Directory(b"")
    count = len(names)
    found = FileColumns(
        names, [100] * count, [1e9 + index for index in range(count)], [1e9] * count, list(range(1, count + 1))
    )
    none = FileColumns([], [], [], [], [])
    for first in range(0, count, _BATCH):
        part = found.part(slice(first, first + _BATCH))
        state.fold(root, dict.fromkeys(part.names, ARRIVED), part, [], now)
    for first in range(0, count, _BATCH):
        part = found.part(slice(first, first + _BATCH))
        state.fold(root, dict.fromkeys(part.names, LEFT), none, part.names, now)
    assert state.files == 0


def _engine(directory: str, names: list[bytes]) -> None:
    from fexp.config.selection import build_folders
    from fexp.engine import Engine

    engine = Engine(build_folders([directory]))
    engine.start()
    assert engine.flush(60)
    for name in names:
        os.close(os.open(os.path.join(os.fsencode(directory), name), os.O_CREAT | os.O_WRONLY))
    assert engine.flush(60)
    assert engine.snapshot().folders[0].groups[0].files == len(names)
    for name in names:
        os.unlink(os.path.join(os.fsencode(directory), name))
    assert engine.flush(60)
    assert engine.snapshot().folders[0].groups[0].files == 0
    engine.stop()


if __name__ == "__main__":
    gc.disable()  # one collection more or less would outweigh what is counted
    files = [b"file-%011d.txt" % number for number in range(int(sys.argv[3]))]
    if sys.argv[1] == "fold":
        _fold(files)
    else:
        _engine(sys.argv[2], files)
