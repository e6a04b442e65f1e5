"""Coverage-guided fuzzing by hand: ``pip install atheris``, then ``python -m tests.fuzz TARGET [SECONDS]``."""

from __future__ import annotations

import sys

import atheris  # only who fuzzes installs it

with atheris.instrument_imports(include=["fexp"]):
    from tests.fuzz.targets import TARGETS, feed


def main() -> None:
    """Fuzz one target until the time is over or something is found."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        sys.exit(f"which target? {', '.join(TARGETS)}")
    seconds = sys.argv[2] if len(sys.argv) > 2 else "60"

    def one(data: bytes) -> None:
        feed(name, data.decode("utf-8", "surrogateescape"))

    atheris.Setup(["fuzz", f"-max_total_time={seconds}", "-max_len=200", "-verbosity=0"], one)
    atheris.Fuzz()


main()
