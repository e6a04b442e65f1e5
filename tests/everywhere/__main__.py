"""``python -m tests.everywhere``: the whole suite here, then its edges everywhere else; beside them a fresh Debian."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.everywhere import debian, environments
from tests.everywhere.checkout import REPOSITORY

_CLOSING_LINE = re.compile(r"^=* ?(\d+ .* in [\d.]+s.*?) ?=*$", re.MULTILINE)
_SHOWN_LINES = 150


class Results:
    """What came of each part, printed as soon as it is known."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self._lock = threading.Lock()

    def add(self, part: str, log_path: Path, *, failure: str, began_at: float) -> None:
        """Print a part's closing line; of one that failed also the end of its log."""
        log = log_path.read_text("utf-8", errors="replace") if log_path.exists() else ""
        closing = (_CLOSING_LINE.findall(log) or ["no tests were run"])[-1]
        with self._lock:
            if failure:
                self.failed.append(part)
                print("\n".join(log.splitlines()[-_SHOWN_LINES:]))
            verdict = f"FAILED ({failure}): {closing}" if failure else closing
            print(f"{part}: {verdict} [{time.monotonic() - began_at:.0f} s in all]", flush=True)


def _fresh_debian(scratch: Path, results: Results) -> None:
    part, began_at = "Fresh Debian 13, the README's commands", time.monotonic()
    reason = debian.unavailable()
    if reason:
        print(f"{part}: SKIPPED, NO FRESH DEBIAN HERE ({reason})", flush=True)
        return
    log_path = scratch / "debian.log"
    try:
        with log_path.open("w", encoding="utf-8") as log:
            failure = debian.run(scratch / "debian", log)
    except (OSError, subprocess.SubprocessError) as error:
        failure = str(error)
    results.add(part, log_path, failure=failure, began_at=began_at)


def _edges(scratch: Path, results: Results) -> None:
    wheel = environments.build_wheel(scratch)
    for number, environment in enumerate(environments.environments()):
        began_at, log_path = time.monotonic(), scratch / f"{number}.log"
        directory = scratch / str(number)
        directory.mkdir()
        try:
            environments.prepare(environment, directory, wheel)
            status = environments.run(environment, directory, log_path)
            failure = f"pytest's exit status {status}" if status else ""
        except (OSError, subprocess.SubprocessError, environments.InstallError) as error:
            failure = str(error)
        results.add(str(environment), log_path, failure=failure, began_at=began_at)


def main() -> int:
    """Return 0 if nothing failed."""
    results = Results()
    scratch = Path(tempfile.mkdtemp(prefix="fexp-everywhere-", dir="/var/tmp"))
    scratch.chmod(0o755)
    try:
        machine = threading.Thread(target=_fresh_debian, args=(scratch, results))
        machine.start()
        suite = subprocess.run([sys.executable, "-m", "pytest"], cwd=REPOSITORY, check=False)
        _edges(scratch, results)
        machine.join()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    failed = [*(["the whole suite"] if suite.returncode else []), *results.failed]
    print("\n".join(f"FAILED: {part}" for part in failed) or "Nothing failed anywhere.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
