"""The program whose instructions are counted: ``python counted.py fold|engine DIRECTORY FILES``.

It imports no more than it needs, for each import takes seconds under callgrind.
"""

from __future__ import annotations

import os
import sys


def _fold(names: list[bytes]) -> None:
    from fexp.model import ARRIVED, LEFT, FileInfo, Instant
    from fexp.selection import Selection
    from fexp.state import FolderState

    state = FolderState(b"/counted", Selection(("*",)))
    now = Instant(2e9, 1e6)
    for index, name in enumerate(names):
        info = FileInfo(100, 1e9 + index, 1e9, index + 1)
        state.fold(state.root, name, ARRIVED, info, now, now.steady)
    for name in names:
        state.fold(state.root, name, LEFT, None, now, now.steady)
    assert state.files == 0


def _engine(directory: str, names: list[bytes]) -> None:
    from fexp.engine import Engine
    from fexp.settings import build_folders

    engine = Engine(build_folders([directory]))
    engine.start()
    assert engine.flush(60)
    for name in names:
        os.close(os.open(os.path.join(os.fsencode(directory), name), os.O_CREAT | os.O_WRONLY))
    assert engine.flush(60)
    assert engine.snapshot().folders[0].patterns[0].files == len(names)
    for name in names:
        os.unlink(os.path.join(os.fsencode(directory), name))
    assert engine.flush(60)
    assert engine.snapshot().folders[0].patterns[0].files == 0
    engine.stop()


if __name__ == "__main__":
    files = [b"file-%011d.txt" % number for number in range(int(sys.argv[3]))]
    if sys.argv[1] == "fold":
        _fold(files)
    else:
        _engine(sys.argv[2], files)
