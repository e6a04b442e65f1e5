"""The floor of a look in Python: ``bare_look.py DIRECTORY PROCESSES`` asks for each file below, and keeps nothing.

Each process takes its share of the directories right below, which hold no others.
"""

from __future__ import annotations

import os
import sys


def _look(directories: list[bytes]) -> None:
    for directory in directories:
        os.chdir(directory)
        with os.scandir(b".") as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    entry.stat(follow_symlinks=False)


if __name__ == "__main__":
    processes = int(sys.argv[2])
    with os.scandir(os.fsencode(sys.argv[1])) as entries:
        directories = [entry.path for entry in entries]
    others = []
    for number in range(1, processes):
        if not (other := os.fork()):
            _look(directories[number::processes])
            os._exit(0)
        others.append(other)
    _look(directories[::processes])
    for other in others:
        os.waitpid(other, 0)
