"""What ``fexp check`` printed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Finding(NamedTuple):
    check: str
    level: str
    what: str
    why: str
    mend: str


class Report(NamedTuple):
    status: int
    findings: list[Finding]
    complaint: str

    def of(self, check: str) -> list[Finding]:
        """Return what one check found."""
        return [finding for finding in self.findings if finding.check == check]

    def only(self, check: str) -> Finding:
        """Return the one thing that a check found."""
        (finding,) = self.of(check)
        return finding

    def bad(self) -> list[Finding]:
        """Return what is not well, but for what a test's machine is like: root, an unset clock."""
        machine = ("this is a check for root", "the kernel's clock is not", "max_user_")
        return [one for one in self.findings if one.level != "ok" and not one.what.startswith(machine)]


Check = Callable[..., Report]
