"""For tests of programs that use fexp, and of exporters of any kind.

Nothing here is imported by fexp itself. What this module names is promised, as is what ``fexp`` names.
"""

from fexp.testing.clock import ManualClock
from fexp.testing.exposition import assert_exposition, check_exposition
from fexp.testing.probes import ProbeRun, run_probe
from fexp.testing.values import sample_value, wait_for, wait_for_value

__all__ = [
    "ManualClock",
    "ProbeRun",
    "assert_exposition",
    "check_exposition",
    "run_probe",
    "sample_value",
    "wait_for",
    "wait_for_value",
]
