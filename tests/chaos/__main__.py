"""Chaos by hand, for as long as it takes: ``python -m tests.chaos --hours 1 --backend inotify``."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import shutil
import sys
import tempfile
import time

from fexp.model import Backend
from tests.chaos.driver import run
from tests.chaos.world import World

NAMESPACE = [
    *("unshare", "--user", "--map-root-user", "--mount"),
    *("setpriv", "--bounding-set=-dac_override,-dac_read_search"),
]
"""Where a process may mount, and may not read what it was denied."""
_CONFINED = "FEXP_CHAOS_CONFINED"
_SEED_SECONDS = 300


def main() -> None:
    """Run seed after seed until the time is over; the first difference ends it with the seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--hours", type=float, default=0.1)
    parser.add_argument("--backend", type=Backend, choices=list(Backend), default=Backend.INOTIFY)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=None, help="how many, instead of --hours")
    parser.add_argument("--storms", type=int, default=20)
    parser.add_argument("--accomplices", type=int, default=0, help="processes that storm at the same time")
    parser.add_argument("--listers", type=int, default=0, help="processes that share the looks, which are then many")
    parser.add_argument(
        "--confined", action="store_true", help="in a namespace of its own: mounts come and go, directories are denied"
    )
    parser.add_argument("--directory", default="/dev/shm", help="a directory on the disk to do it on")
    options = parser.parse_args()
    if options.confined and os.environ.get(_CONFINED) is None:
        os.execvpe(
            NAMESPACE[0],
            [*NAMESPACE, sys.executable, "-m", "tests.chaos", *sys.argv[1:]],
            {**os.environ, _CONFINED: "1"},
        )
    logging.disable(logging.WARNING)
    until = time.monotonic() + options.hours * 3600
    seed, actions = options.seed, 0
    while seed < options.seed + options.seeds if options.seeds else time.monotonic() < until:
        faulthandler.dump_traceback_later(_SEED_SECONDS, exit=True)  # a hang leaves its stacks
        base = tempfile.mkdtemp(prefix="fexp-chaos-", dir=options.directory)
        try:
            actions += run(
                os.fsencode(base),
                options.backend,
                seed,
                options.storms,
                options.accomplices,
                listers=options.listers,
                confined=options.confined,
            )
        finally:
            World(os.fsencode(base), 0).free()
            shutil.rmtree(base, ignore_errors=True)
        seed += 1
        if seed % 10 == 0:
            print(f"{options.backend}: seeds {options.seed} to {seed - 1}, {actions} operations agree", flush=True)
    print(f"{options.backend}: {seed - options.seed} seeds, {actions} operations agree with the disk")


if __name__ == "__main__":
    main()
