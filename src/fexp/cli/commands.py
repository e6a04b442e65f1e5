"""The commands: each reads its settings and hands them to the service. Heavy parts are imported where they are used."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fexp.cli.hints import added_to_failure, taken_as_paths
from fexp.cli.options import COMMAND_LINE, SHOWN, Command, misspelt_variables, reads
from fexp.errors import FexpError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fexp.config.given import Given
    from fexp.config.options import Group
    from fexp.config.origin import Written
    from fexp.config.output import OutputSettings
    from fexp.config.settings import OneShotSettings, Program, Settings


def watch_reads() -> Iterable[type[Group]]:
    from fexp.config import given, probes, selection, settings
    from fexp.outputs.kinds import settings_types

    return (
        given.ConfigSettings, selection.SelectionSettings, settings.HttpSettings, *settings_types(),
        settings.DeliverySettings, settings.EngineSettings, settings.LoggingSettings, probes.ProbesSettings,
        probes.ReadingSettings,
    )  # fmt: skip


def _push_reads() -> Iterable[type[Group]]:
    from fexp.config import given, probes, selection, settings

    return (
        given.ConfigSettings, selection.SelectionSettings, _settings_type("gateway"), settings.RemovalSettings,
        settings.OneShotSettings, probes.ProbesSettings, probes.ReadingSettings,
    )  # fmt: skip


def _write_reads() -> Iterable[type[Group]]:
    from fexp.config import given, probes, selection, settings

    return (
        given.ConfigSettings, selection.SelectionSettings, _settings_type("textfile"), settings.OneShotSettings,
        probes.ProbesSettings, probes.ReadingSettings,
    )  # fmt: skip


def _scan_reads() -> Iterable[type[Group]]:
    from fexp.config import given, printing, probes, selection

    return (
        given.ConfigSettings, selection.SelectionSettings, printing.PrintingSettings, probes.ProbesSettings,
        probes.ReadingSettings,
    )  # fmt: skip


def _check_reads() -> Iterable[type[Group]]:
    from fexp.config.settings import CheckSettings

    return CheckSettings, *watch_reads()


def _run_reads() -> Iterable[type[Group]]:
    from fexp.config import selection
    from fexp.config.job import JobSettings
    from fexp.outputs.kinds import settings_types

    return JobSettings, *settings_types(), selection.CountingSettings


def _settings_type(kind: str) -> type[OutputSettings]:
    from fexp.outputs.kinds import output_type

    return output_type(kind).settings_type


@reads(watch_reads, outputs_on_request=True)
def watch(folders: list[str], written: Written) -> None:
    """Follow folders for ever and feed every output that is asked for.

    With none asked for, it serves http://127.0.0.1:9877/metrics. Stop it with Ctrl-C or SIGTERM.
    """
    run_watch(folders, written)


def run_watch(folders: list[str], written: Written, program: Program | None = None) -> None:
    """Watch. ``program``: somebody's exporter."""
    from logging import getLogger

    from fexp.cli.logs import set_up_logging
    from fexp.config.given import ConfigSettings
    from fexp.config.output import asked_for, without_effect
    from fexp.config.probes import group_of
    from fexp.config.settings import FEXP, LoggingSettings, read_settings
    from fexp.outputs.kinds import settings_types
    from fexp.service.daemon import watch as run

    program = program or FEXP

    def read(given: Given) -> Settings:
        outputs = asked_for(settings_types(), given)
        return read_settings(folders, given, outputs, program)

    given = _given(written)
    set_up_logging(LoggingSettings.read(given.of(LoggingSettings)))
    for line in (*_hints(folders, map(group_of, program.probes)), *sorted(without_effect(settings_types(), given))):
        getLogger("fexp").warning("%s", line)  # no mistake: an environment file may serve several units
    run(read(given), (lambda: read(_given(written))) if ConfigSettings.read(written).files else None)


@reads(_push_reads)
def push(folders: list[str], written: Written) -> None:
    """Look once, push to a Pushgateway, exit: for cron.

    Prints nothing when all went well; else one line, and the exit status is 1.
    """
    from fexp.config.settings import RemovalSettings, read_settings
    from fexp.outputs.push.gateway import GatewaySettings
    from fexp.service.delivery import deliver, remove

    given = _given(written)
    with _in_time(given, folders) as one_shot:
        gateway = GatewaySettings.read(given.of(GatewaySettings))
        removal = RemovalSettings.read(written)
        if not removal:
            deliver(read_settings(folders, given, (gateway,)))
            return
        if folders:
            raise SettingsError(f"{removal.asked_by} takes no FOLDER: it only removes groups")
        remove(gateway, removal, one_shot)


@reads(_write_reads)
def write(folders: list[str], written: Written) -> None:
    """Look once, write a file for node_exporter's textfile collector, exit: for cron.

    Prints nothing when all went well; else one line, and the exit status is 1.
    """
    from fexp.config.settings import read_settings
    from fexp.outputs.textfile import TextfileSettings
    from fexp.service.delivery import deliver

    given = _given(written)
    with _in_time(given, folders):
        deliver(read_settings(folders, given, (TextfileSettings.read(given.of(TextfileSettings)),)))


@reads(_scan_reads)
def scan(folders: list[str], written: Written) -> None:
    """Look once and print what is there: for people."""
    from fexp import clock
    from fexp.cli.printing import FORMATS, print_for_people
    from fexp.config.printing import PrintingSettings
    from fexp.config.settings import read_settings
    from fexp.service.oneshot import find_folders, look_at_all
    from fexp.service.progress import shown_on_terminal

    with added_to_failure(lambda: _hints(folders)):
        printing = PrintingSettings.read(written)
        settings = read_settings(folders, _given(written))
        doing = ["looking for folders"]
        with shown_on_terminal(sys.stderr, lambda: doing[-1]):
            folders_now, unlisted = find_folders(settings, clock.now().wall)
            query = printing.query(settings, folders_now)
            snapshot, problems = look_at_all(folders_now, doing.append, query)
            if settings.probes:
                from fexp.service.probes.all import run_once

                doing.append("running probes")
                snapshot, failures = run_once(settings, folders_now, snapshot)
                problems += failures
        is_table = printing.format == "table" or (printing.format is None and sys.stdout.isatty())
        if query is not None:
            from fexp.cli.file_list import print_files

            print_files(snapshot, query, as_json=printing.format == "json")
        elif is_table or printing.sort is not None:
            print_for_people(snapshot, folders_now, printing.sort or "")
        else:
            FORMATS[printing.format or "prom"](snapshot)
        if problems or unlisted:
            raise FexpError("; ".join([*problems, *unlisted]))


@reads(_check_reads, outputs_on_request=True)
def check(folders: list[str], written: Written) -> int:
    """Say what would go wrong with a watch of these options, and how to mend it.

    Changes nothing. The exit status is 1 if something would fail.
    """
    from fexp.cli.checking import print_checks

    return print_checks(folders, written, lambda: _given(written), _hints)


@reads(_run_reads, arguments=COMMAND_LINE, outputs_on_request=True)
def run(command: list[str], written: Written) -> int:
    """Run a batch job and report how it went: for cron.

    The command has the same streams, and fexp ends with its exit status. No output can delay or stop it. What fails
    beside it is one line on standard error.
    """
    import gc

    from fexp.cli.logs import log_plain_lines
    from fexp.cli.messages import print_error
    from fexp.config.settings import read_job_settings
    from fexp.outputs.kinds import settings_types
    from fexp.service.job.command import run as run_command

    with added_to_failure(lambda: _hints(())):
        job, settings = read_job_settings(written, settings_types())
        log_plain_lines()
        gc.enable()  # it may run for days
        return run_command(command, job, settings, print_error)


@reads(lambda: (), arguments=SHOWN)
def show(what: list[str], _: Written) -> None:
    """Print something to install: a commented config file, or the JSON schema of config files."""
    import json

    from fexp.config.sample import sample
    from fexp.config.schema import schema
    from fexp.outputs.kinds import settings_types

    shown = {
        "config": lambda: sample(settings_types()),
        "schema": lambda: json.dumps(schema(settings_types()), indent=2) + "\n",
    }
    if len(what) != 1 or what[0] not in shown:
        raise SettingsError(f"{' '.join(what)} is not known: show {' or '.join(shown)}")
    print(shown[what[0]](), end="")


def _given(written: Written) -> Given:
    """Return what was given, with what the config files say. Raise SettingsError."""
    from fexp.config.given import ConfigSettings, Given

    paths = ConfigSettings.read(written).files
    if not paths:
        return Given(written)
    from fexp.config.config_file import read_config_files
    from fexp.outputs.kinds import settings_types

    files = read_config_files(paths, settings_types())
    return Given(written, files.sections(), files.folders(), files.probes())


def _hints(folders: Iterable[str], others: Iterable[type[Group]] = ()) -> Iterator[str]:
    yield from misspelt_variables(COMMANDS.values(), others)
    yield from taken_as_paths(folders)


@contextmanager
def _in_time(given: Given, folders: list[str]) -> Iterator[OneShotSettings]:
    """Run the block within its deadline: the folders, and files with secrets, may hang too."""
    from fexp.cli.messages import print_error
    from fexp.config.settings import OneShotSettings
    from fexp.service.deadline import deadline

    settings = OneShotSettings.read(given.of(OneShotSettings))
    last_word = deadline(settings.deadline_seconds, settings.origin("deadline_seconds"), print_error)
    with last_word, added_to_failure(lambda: _hints(folders)):  # which looks at the folders too
        yield settings


COMMANDS: dict[str, Command] = {
    "watch": watch, "push": push, "write": write, "scan": scan, "check": check, "run": run, "show": show,
}  # fmt: skip
