"""``python -m tests.everywhere``: the whole suite here, its edges everywhere else, and the README on a fresh Debian."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tests.everywhere import debian
from tests.everywhere.checkout import REPOSITORY
from tests.everywhere.environments import Environment, InstallError, build_wheel, environments, test_edges

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 4
"""A suite waits for a third of its time."""
_TWO_PROCESSES = ["--numprocesses", "2", "--dist", "loadfile"]
"""For the longest part."""
_CLOSING_LINE = re.compile(r"^=* ?((?:\d+ \w+(?:, )?)+ in .*?) ?=*$", re.MULTILINE)
_SHOWN_LINES = 200


@dataclass(frozen=True)
class Part:
    """One part of the gate. ``run`` writes a log and returns what failed, or an empty string."""

    name: str
    run: Callable[[TextIO], str]


@dataclass(frozen=True)
class Outcome:
    """What came of a part."""

    part: Part
    failure: str
    closing_line: str
    seconds: float

    def __str__(self) -> str:
        verdict = f"FAILED, {self.failure}: " if self.failure else ""
        return f"{self.part.name}: {verdict}{self.closing_line} ({self.seconds:.0f} s in all)"


def whole_suite(log: TextIO) -> str:
    """Run the whole suite on the Python that runs this, and show it."""
    command = [sys.executable, "-m", "pytest", *_TWO_PROCESSES]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
    return f"exit status {process.returncode}" if process.returncode else ""


def parts(scratch: Path) -> list[Part]:
    """Return all that can be tested here, the longest first."""
    wheel = build_wheel(scratch)
    reason = debian.unavailable()
    found = [Part("The whole suite", whole_suite)]
    if reason:
        print(f"NO FRESH DEBIAN HERE ({reason}): the README's commands are not run on one", flush=True)
    else:
        found.append(Part("Fresh Debian 13, the README's commands", partial(debian.run, scratch / "debian")))
    for number, environment in enumerate(environments()):
        edges = partial(_edges, environment, scratch / str(number), wheel)
        found.append(Part(str(environment), edges))
    return found


def _edges(environment: Environment, directory: Path, wheel: Path, log: TextIO) -> str:
    directory.mkdir()
    status = test_edges(environment, directory, wheel, log)
    return f"exit status {status}" if status else ""


def outcome_of(part: Part, log_path: Path) -> Outcome:
    """Run a part and print what came of it; of one that failed also the end of its log."""
    began_at = time.monotonic()
    with log_path.open("w", encoding="utf-8") as log:
        try:
            failure = part.run(log)
        except (OSError, subprocess.SubprocessError, InstallError) as error:
            failure = str(error)
    text = log_path.read_text("utf-8", errors="replace")
    closing_line = (_CLOSING_LINE.findall(text) or ["no test was run"])[-1]
    outcome = Outcome(part, failure, closing_line, time.monotonic() - began_at)
    shown = [*text.splitlines()[-_SHOWN_LINES:], str(outcome)] if failure else [str(outcome)]
    print("\n".join(shown), flush=True)
    return outcome


def main() -> int:
    """Run all parts, sum them up, and return 0 if nothing failed."""
    scratch = Path(tempfile.mkdtemp(prefix="fexp-everywhere-", dir="/var/tmp"))
    scratch.chmod(0o755)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [
                pool.submit(outcome_of, part, scratch / f"{number}.log") for number, part in enumerate(parts(scratch))
            ]
        outcomes = [job.result() for job in jobs]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print("\nEverywhere:")
    for outcome in reversed(outcomes):
        print(outcome)
    print(f"{outcomes[0].closing_line}", flush=True)
    return 1 if any(outcome.failure for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
