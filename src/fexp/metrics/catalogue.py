"""The catalogue: every metric fexp can show, one row each.

Adding a metric is adding a row. HELP and TYPE of a name are constant text: receivers reject or drop a family whose HELP
or TYPE differs between two files or two pushes.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import TYPE_CHECKING

from watchdog.version import VERSION_STRING

from fexp import __version__
from fexp.counting.aggregates import (
    EmptyFiles,
    Files,
    FutureFiles,
    LargestFile,
    NewestModification,
    OldestArrival,
    OldestModification,
    SizeBytes,
    SmallestFile,
)
from fexp.counting.distributions import AgeDistribution, SizeDistribution
from fexp.counting.measures import Measures
from fexp.metrics.rows import (
    Kind,
    Row,
    Sample,
    Scope,
    asked_row,
    delivery_row,
    distribution_row,
    dwell_row,
    flow_row,
    folder_row,
    inotify_row,
    job_row,
    probe_row,
    reload_row,
    single_row,
    state_row,
    watched_row,
)
from fexp.model import Instant

if TYPE_CHECKING:
    from fexp.counting.aggregates import Make


@cache
def _build_labels() -> dict[str, str]:
    return {"version": __version__, "python": platform.python_version(), "watchdog": VERSION_STRING}


JOB_ROWS: tuple[Row, ...] = (
    job_row("fexp_job_running", "1 while the command runs, else 0."),
    job_row("fexp_job_start_timestamp_seconds", "When the latest run began, as Unix time."),
    job_row("fexp_job_end_timestamp_seconds", "When the latest run that ended did so, as Unix time."),
    job_row("fexp_job_duration_seconds", "How long the latest run that ended took, with its retries."),
    job_row(
        "fexp_job_exit_code",
        "Exit status of the latest run that ended: 128 + the number of the signal that killed it.",
    ),
    job_row("fexp_job_timed_out", "1 if the latest run that ended took longer than allowed, else 0."),
    job_row(
        "fexp_job_last_success_timestamp_seconds",
        "When the latest run that succeeded ended, as Unix time.",
    ),
    job_row("fexp_job_cpu_seconds", "CPU time of the latest run that ended, with all processes that it waited for."),
    job_row(
        "fexp_job_max_rss_bytes",
        "Peak memory of the largest process of the latest run that ended; what fexp has itself counts in.",
    ),
    job_row(
        "fexp_job_consumed_files",
        "Matching files that were there before the latest run that ended and were not after it.",
        Scope.JOB_FOLDER,
    ),
    job_row(
        "fexp_job_consumed_bytes",
        "Bytes of these files, and bytes by which others shrank.",
        Scope.JOB_FOLDER,
    ),
    job_row(
        "fexp_job_produced_files",
        "Matching files that were there after the latest run that ended and were not before it.",
        Scope.JOB_FOLDER,
    ),
    job_row(
        "fexp_job_produced_bytes",
        "Bytes of these files, and bytes by which others grew.",
        Scope.JOB_FOLDER,
    ),
    job_row("fexp_job_rejected_samples", "Lines of the job's own samples that were left out because they are bad."),
)

CATALOGUE: tuple[Row, ...] = (
    state_row("fexp_files", "Matching files in the folder now.", Files),
    state_row("fexp_size_bytes", "Sum of the sizes of the matching files.", SizeBytes),
    state_row(
        "fexp_oldest_file_timestamp_seconds",
        "Smallest modification time among the matching files, as Unix time.",
        OldestModification,
    ),
    state_row(
        "fexp_newest_file_timestamp_seconds",
        "Largest modification time among the matching files, as Unix time.",
        NewestModification,
    ),
    state_row("fexp_largest_file_bytes", "Size of the largest matching file.", LargestFile),
    state_row("fexp_smallest_file_bytes", "Size of the smallest matching file.", SmallestFile),
    state_row("fexp_empty_files", "Matching files of no bytes.", EmptyFiles),
    state_row(
        "fexp_future_files", "Matching files whose modification time is more than 60 s in the future.", FutureFiles
    ),
    state_row(
        "fexp_oldest_arrival_timestamp_seconds",
        "Arrival of the file that has been waiting longest, as Unix time.",
        OldestArrival,
    ),
    asked_row(
        "fexp_unsettled_files",
        "Matching files that have changed too lately to count as settled, or that are being written.",
        "unsettled_files",
    ),
    asked_row(
        "fexp_stalled_files",
        "Partial uploads that have not changed for long, whether they match or not.",
        "stalled_files",
    ),
    asked_row(
        "fexp_disk_usage_bytes",
        "What the matching files take up on the disk: blocks, of a file with several names once.",
        "disk_usage_bytes",
    ),
    distribution_row(
        "fexp_file_age_seconds",
        "Matching files in the folder now, by the time since their modification.",
        AgeDistribution,
    ),
    distribution_row("fexp_file_size_bytes", "Matching files in the folder now, by their size.", SizeDistribution),
    single_row(
        "fexp_single_file_size_bytes", "Size of a matching file; of the oldest ones only.", lambda f: f.size_bytes
    ),
    single_row(
        "fexp_single_file_timestamp_seconds",
        "Modification time of a matching file, as Unix time; of the oldest ones only.",
        lambda f: f.modified_at,
    ),
    flow_row(
        "fexp_arrivals_total",
        Kind.COUNTER,
        "Matching files that arrived since fexp started: created, linked, moved or renamed in.",
        lambda f: f.arrivals,
        lambda f: f.arrival_example,
    ),
    flow_row(
        "fexp_departures_total",
        Kind.COUNTER,
        "Matching files that departed since fexp started: deleted, moved or renamed out.",
        lambda f: f.departures,
    ),
    flow_row(
        "fexp_modifications_total",
        Kind.COUNTER,
        "Times a matching file was found rewritten since fexp started: other size, modification time or inode.",
        lambda f: f.modifications,
    ),
    flow_row(
        "fexp_arrived_bytes_total",
        Kind.COUNTER,
        "Bytes that came in with arriving and growing files since fexp started.",
        lambda f: f.arrived_bytes,
    ),
    flow_row(
        "fexp_departed_bytes_total",
        Kind.COUNTER,
        "Bytes that went out with departing and shrinking files since fexp started.",
        lambda f: f.departed_bytes,
    ),
    flow_row(
        "fexp_last_arrival_timestamp_seconds",
        Kind.GAUGE,
        "When the latest matching file arrived, as Unix time.",
        lambda f: f.last_arrival_at,
    ),
    flow_row(
        "fexp_last_departure_timestamp_seconds",
        Kind.GAUGE,
        "When the latest matching file departed, as Unix time.",
        lambda f: f.last_departure_at,
    ),
    dwell_row("fexp_dwell_seconds", "How long departed files had stayed, from arrival to departure."),
    folder_row(
        "fexp_folder_up",
        Kind.GAUGE,
        "1 while the folder can be read and is being watched, else 0.",
        lambda f: [((), f.up)] if f.looked else [],
    ),
    folder_row(
        "fexp_folder_info",
        Kind.GAUGE,
        "How the folder is watched; always 1.",
        lambda f: [((f.backend, str(f.recursive).lower()), 1)] if f.backend else [],
        ("backend", "recursive"),
    ),
    folder_row(
        "fexp_directories",
        Kind.GAUGE,
        "Directories of the folder that are looked into.",
        lambda f: [((), f.directories)] if f.up else [],
    ),
    folder_row(
        "fexp_scans_total",
        Kind.COUNTER,
        "Whole looks at the folder.",
        lambda f: [((reason,), count) for reason, count in f.scans.items()],
        ("reason",),
    ),
    folder_row(
        "fexp_scan_duration_seconds",
        Kind.GAUGE,
        "How long the latest whole look took.",
        lambda f: [((), f.scan_duration_seconds)],
    ),
    folder_row(
        "fexp_last_scan_timestamp_seconds",
        Kind.GAUGE,
        "When the latest whole look ended, as Unix time.",
        lambda f: [((), f.last_scan_at)],
    ),
    watched_row(
        "fexp_overflows_total",
        Kind.COUNTER,
        "Times the kernel said that file events were lost; each is followed by a whole look.",
        lambda f: f.overflows,
    ),
    watched_row(
        "fexp_drift_files_total",
        Kind.COUNTER,
        "Files that a whole look found different from what events had told.",
        lambda f: f.drift_files,
    ),
    folder_row(
        "fexp_errors_total",
        Kind.COUNTER,
        "Entries that could not be read.",
        lambda f: [((fault,), count) for fault, count in f.faults.items()],
        ("reason",),
    ),
    folder_row(
        "fexp_series_dropped",
        Kind.GAUGE,
        "Groups and files that have no series of their own because there are too many.",
        lambda f: [((), f.series_dropped if f.up else None)],
    ),
    *JOB_ROWS,
    probe_row(
        "fexp_probe_success",
        Kind.GAUGE,
        "1 if the probe's latest run went well, else 0; of a probe of files, the latest run of each of them.",
        lambda p: p.success,
    ),
    probe_row(
        "fexp_probe_duration_seconds", Kind.GAUGE, "How long the probe's latest run took.", lambda p: p.duration_seconds
    ),
    probe_row(
        "fexp_probe_last_run_timestamp_seconds",
        Kind.GAUGE,
        "When the probe's latest run ended, as Unix time.",
        lambda p: p.last_run_at,
    ),
    probe_row(
        "fexp_probe_runs_total", Kind.COUNTER, "Runs of the probe that ended since fexp started.", lambda p: p.runs
    ),
    probe_row(
        "fexp_probe_failures_total",
        Kind.COUNTER,
        "Runs of the probe that raised or took too long since fexp started.",
        lambda p: p.failures,
    ),
    probe_row(
        "fexp_probe_rejected_samples_total",
        Kind.COUNTER,
        "Samples of the probe that were left out since fexp started, as they are bad or too many.",
        lambda p: None if p.runs is None else p.rejected_samples,
    ),
    delivery_row("fexp_deliveries_total", Kind.COUNTER, "Successful deliveries of an output.", lambda d: d.deliveries),
    delivery_row("fexp_delivery_failures_total", Kind.COUNTER, "Failed deliveries of an output.", lambda d: d.failures),
    delivery_row(
        "fexp_dropped_snapshots_total",
        Kind.COUNTER,
        "Snapshots that never reached an output's other side as a whole: given up while they waited, or refused.",
        lambda d: d.dropped,
    ),
    delivery_row(
        "fexp_last_delivery_timestamp_seconds",
        Kind.GAUGE,
        "When an output's latest delivery succeeded, as Unix time.",
        lambda d: d.last_delivery_at,
    ),
    delivery_row(
        "fexp_delivery_duration_seconds",
        Kind.GAUGE,
        "How long an output's latest successful delivery took.",
        lambda d: d.duration_seconds,
    ),
    inotify_row("fexp_inotify_watches", "Directories that fexp watches by inotify.", lambda i: i.watches),
    inotify_row(
        "fexp_inotify_watches_limit",
        "Inotify watches that the system grants the user that fexp runs as.",
        lambda i: i.watches_limit,
    ),
    reload_row(
        "fexp_config_last_reload_successful",
        "Whether the config files, if any, were good when they were last read; a bad one leaves the old in force.",
        lambda r: r.successful,
    ),
    reload_row(
        "fexp_config_last_reload_success_timestamp_seconds",
        "When good config files were last read, as Unix time.",
        lambda r: r.succeeded_at,
    ),
    Row(
        "fexp_build_info",
        Kind.GAUGE,
        Scope.SELF,
        ("version", "python", "watchdog"),
        "What this fexp is made of; always 1.",
        lambda _: iter([Sample(_build_labels(), 1)]),
    ),
)

_EPOCH = Instant(0.0, 0.0)
_MEASURED = tuple(row.aggregate for row in CATALOGUE if row.aggregate is not None)

AGGREGATES = tuple(aggregate for aggregate in _MEASURED if aggregate.maker(Measures(), _EPOCH) is not None)
"""What the numbers of every folder are made of."""


def makers(measures: Measures, now: Instant = _EPOCH) -> tuple[Make, ...]:
    """Return what makes the aggregates of a folder that is measured so; see ``Aggregate.maker``."""
    asked = (aggregate.maker(measures, now) for aggregate in _MEASURED)
    return tuple(make for make in asked if make is not None)


EVERYWHERE: frozenset[Scope] = frozenset(Scope)
FOLDER_SCOPES: frozenset[Scope] = frozenset({Scope.STATE, Scope.FOLDER})
"""What is read folder by folder."""
TEXTFILE_SCOPES = FOLDER_SCOPES | {Scope.JOB, Scope.JOB_FOLDER, Scope.PROBE}
"""Series with a label of a folder, job or probe, so that the textfiles of several fexp on one host never collide."""
