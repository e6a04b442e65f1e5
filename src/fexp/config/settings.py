"""The one tree of settings: what the user asked for, whole and valid. Untyped text ends here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from fexp import __version__
from fexp.config.given import ConfigSettings, Given
from fexp.config.job import JobSettings
from fexp.config.labels import own_labels
from fexp.config.options import Group, flag, option, repeatable
from fexp.config.output import asked_for
from fexp.config.probes import ProbesSettings, ReadingSettings, check_together, load_all, select
from fexp.config.selection import (
    FolderSettings,
    FolderTemplate,
    SelectionSettings,
    build_folders,
    build_templates,
    with_unique_labels,
)
from fexp.config.template import is_template
from fexp.config.values import (
    Choice,
    one_of,
    parse_buckets_or_none,
    parse_duration,
    parse_duration_or_zero,
    parse_text,
)
from fexp.errors import SettingsError
from fexp.model import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fexp.config.origin import Origin, Written
    from fexp.config.output import OutputSettings
    from fexp.config.probes import Selected
    from fexp.counting.selection import Folder
    from fexp.probes.probe import Probe

DEFAULT_LISTEN = "127.0.0.1:9877"
"""Where ``watch`` serves when no output is asked for."""


class Program(NamedTuple):
    """Whose command it is: that of fexp, or somebody's exporter."""

    name: str
    version: str
    probes: tuple[Probe, ...] = ()
    """Those that run whatever was asked for."""
    listen: str = DEFAULT_LISTEN
    """Where it serves when no output is asked for."""


FEXP = Program("fexp", __version__)
BACKENDS: dict[str, Backend | None] = {"auto": None, **{str(backend): backend for backend in Backend}}
LOG_LEVELS = ("debug", "info", "warning", "error")


class EngineSettings(Group):
    """How to watch."""

    panel: ClassVar = "How it watches"

    backend: Backend | None = option(
        "backend", Choice(BACKENDS), "auto", "auto, inotify, observer or polling.", metavar="NAME"
    )
    """None: inotify where it works, else the next best."""
    rescan_seconds: float = option(
        "rescan",
        parse_duration,
        "5m",
        "Look at everything this often, for at most a twentieth of the time.",
        metavar="DURATION",
    )
    poll_interval_seconds: float = option(
        "poll-interval",
        parse_duration,
        "5s",
        "Look this often at folders that give no events, within the same bound.",
        metavar="DURATION",
    )
    dwell_bounds_seconds: tuple[float, ...] = option(
        "dwell-buckets",
        parse_buckets_or_none,
        "1s,5s,15s,1m,5m,15m,1h,4h,1d,7d",
        "Upper bounds of the buckets of fexp_dwell_seconds; none leaves it out.",
        metavar="LIST",
    )
    watch_config: bool = flag("watch-config", "Reload when a config file changes.")


class LoggingSettings(Group):
    """What is logged."""

    panel: ClassVar = "How it watches"

    log_level: str = option("log-level", one_of(LOG_LEVELS), "info", "debug, info, warning or error.", metavar="LEVEL")


class DeliverySettings(Group):
    """How often outputs deliver, and what a stop leaves behind."""

    panel: ClassVar = "Where the numbers go"

    heartbeat_seconds: float = option(
        "heartbeat", parse_duration, "60s", "Deliver this often even when nothing changed.", metavar="DURATION"
    )
    """Counted from the latest success; from the latest snapshot where they wait for a receiver."""
    min_interval_seconds: float = option(
        "min-interval", parse_duration_or_zero, "1s", "Deliver no more often than this.", metavar="DURATION"
    )
    """Counted from the latest attempt, or the latest snapshot."""
    keep_on_exit: bool = flag("keep-on-exit", "On a clean stop leave the file and the group behind, and end no series.")

    def validate(self) -> None:
        if self.min_interval_seconds > self.heartbeat_seconds:
            heartbeat = self.origin("heartbeat_seconds")
            raise SettingsError(
                f"{self.origin('min_interval_seconds')} {self.min_interval_seconds:g}s is longer than"
                f" {heartbeat} {self.heartbeat_seconds:g}s: a delivery cannot be both due and forbidden;"
                f" give a longer {heartbeat} too"
            )


class HttpSettings(Group):
    """Where to serve, and to whom."""

    panel: ClassVar = "Where the numbers go"

    listen: tuple[str, ...] = repeatable(
        "listen",
        lambda _, texts: texts,
        "Serve /metrics on :9877, 127.0.0.1:9877, [::1]:9877, unix:PATH or systemd.",
        metavar="ADDR",
        aliases=("--web.listen-address",),
    )
    web_config: str | None = option(
        "web-config",
        parse_text,
        None,
        "TLS and users of the server, in the format of exporter-toolkit.",
        metavar="FILE",
        aliases=("--web.config.file",),
    )


class OneShotSettings(Group):
    """When a one-shot begins, and when it ends at the latest."""

    panel: ClassVar = "When and how long"

    splay_seconds: float = option(
        "splay",
        parse_duration_or_zero,
        "0",
        "First wait a random time up to this long, so that a fleet does not push at once.",
        metavar="DURATION",
    )
    deadline_seconds: float = option(
        "deadline", parse_duration, "5m", "Give up after this long, all in all.", metavar="DURATION"
    )

    def validate(self) -> None:
        if self.splay_seconds >= self.deadline_seconds:
            raise SettingsError(
                f"{self.origin('splay_seconds')} {self.splay_seconds:g}s leaves no time before"
                f" {self.origin('deadline_seconds')} {self.deadline_seconds:g}s: give more"
            )


class RemovalSettings(Group):
    """What ``push`` removes from a Pushgateway instead of pushing."""

    panel: ClassVar = "Pushgateway"

    delete: bool = flag("delete", "Delete the group instead; FOLDER is not needed.")
    expire_seconds: float | None = option(
        "expire",
        parse_duration,
        None,
        "Delete the groups of this job that nobody has pushed for this long; FOLDER is not needed.",
        metavar="DURATION",
    )

    def __bool__(self) -> bool:
        """Return whether there is something to remove."""
        return self.delete or self.expire_seconds is not None

    @property
    def asked_by(self) -> Origin:
        """What asked for the removal."""
        return self.origin("delete" if self.delete else "expire_seconds")


class CheckSettings(Group):
    """How ``check`` goes about it."""

    panel: ClassVar = "How it checks"

    user: str | None = option(
        "user", parse_text, None, "Check as the user that fexp will run as. Only root can.", metavar="NAME"
    )
    node_exporter: str = option(
        "node-exporter",
        parse_text,
        "http://127.0.0.1:9100/metrics",
        "Where the node_exporter serves that reads the textfile.",
        metavar="URL",
    )
    format: str = option("format", one_of(("text", "json")), "text", "text or json.", metavar="FORMAT")


@dataclass(frozen=True, eq=False)
class Settings:
    """Everything that one run of fexp was asked for."""

    folders: tuple[Folder, ...] = ()
    outputs: tuple[OutputSettings, ...] = ()
    selection: SelectionSettings = field(default_factory=SelectionSettings)
    """What the folders have in common."""
    engine: EngineSettings = field(default_factory=EngineSettings)
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    one_shot: OneShotSettings = field(default_factory=OneShotSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    config: ConfigSettings = field(default_factory=ConfigSettings)
    templates: tuple[FolderTemplate, ...] = ()
    """What stands for folders that come and go."""
    probes: tuple[Selected, ...] = ()
    probing: ReadingSettings = field(default_factory=ReadingSettings)
    """What they have in common."""
    program: Program = FEXP

    def __post_init__(self) -> None:
        for probe in (selected.probe for selected in self.probes):
            for label, origin in self.selection.folder_labels.items() if "folder" in probe.labels else ():
                if label in probe.labels:
                    raise probe.wrong(f"{origin} {label} is a label of its own; rename one of them")
            if probe.wants_folders and self._hides_names:
                raise probe.wrong(
                    "it runs for each file, and what it shows and logs names them, which"
                    f" {self.selection.origin('hides_names')} forbids: leave one of them out"
                )
        if self.outputs:
            names = own_labels().union(
                *(folder.label_names for folder in self.folders),
                *(template.selection.label_names for template in self.templates),
                *(selected.probe.labels for selected in self.probes),
            )
            for output in self.outputs:
                output.check_labels(names)
        if self.http.web_config is not None and not self.http.listen:
            raise SettingsError(
                f"{self.http.origin('web_config')} says how to serve, but nothing is served:"
                f" add {self.http.origin('listen')}"
            )
        if self.engine.watch_config and not self.config.files:
            raise SettingsError(
                f"{self.engine.origin('watch_config')} follows config files, but there are none:"
                f" add {self.config.origin('files')}"
            )

    @property
    def _hides_names(self) -> bool:
        hidden = [folder.hides_names for folder in self.folders]
        return any([*hidden, *(template.selection.hides_names for template in self.templates)])


def read_settings(
    paths: Sequence[str],
    given: Given,
    outputs: tuple[OutputSettings, ...] = (),
    program: Program = FEXP,
) -> Settings:
    """Return the settings of one run: over ``paths``, or without any over the folders given in files.

    Raise SettingsError.
    """
    probes = _probes(given, program)
    if not paths and not given.folders and (not probes or any(probe.wants_folders for probe in probes)):
        raise SettingsError("FOLDER is missing: name at least one folder to look at, here or in a config file")
    selection = FolderSettings.read(given.of(FolderSettings))
    folders, templates = _places(paths, selection, given)
    http = HttpSettings.read(given.of(HttpSettings))
    if not outputs and not http.listen:
        http = http.replace(listen=(program.listen,))
    return Settings(
        folders=folders,
        templates=templates,
        outputs=outputs,
        selection=selection,
        engine=EngineSettings.read(given.of(EngineSettings)),
        delivery=DeliverySettings.read(given.of(DeliverySettings)),
        http=http,
        one_shot=OneShotSettings.read(given.of(OneShotSettings)),
        logging=LoggingSettings.read(given.of(LoggingSettings)),
        config=ConfigSettings.read(given.command_line),
        probes=select(probes, given.of_probe) if probes else (),
        probing=ReadingSettings.read(given.of(ReadingSettings)),
        program=program,
    )


def _probes(given: Given, program: Program) -> tuple[Probe, ...]:
    """Return the probes of the program, and those of the command line, or without any those of the files."""
    asked = ProbesSettings.read(given.command_line)
    if asked.names:
        named = load_all(asked.origin("names"), asked.names)
    else:
        named = tuple(entry.probe for entry in given.probes if entry.probe not in program.probes)
    probes = (*program.probes, *named)
    if program.probes and named:
        check_together(probes)
    return probes


def _places(
    paths: Sequence[str], selection: SelectionSettings, given: Given
) -> tuple[tuple[Folder, ...], tuple[FolderTemplate, ...]]:
    """Return the folders, and what stands for folders that come and go."""
    if paths:
        if selection.per_subfolder:
            return (), build_templates(paths, selection)
        return build_folders(paths, selection), ()
    folders: list[Folder] = []
    templates = []
    for entry in given.folders:
        own = FolderSettings.read(given.of_folder(entry))
        if own.per_subfolder or is_template(entry.path):
            templates.append(FolderTemplate(entry.path, entry.origin, own))
        else:
            folders += build_folders([entry.path], own)
    return with_unique_labels(folders), tuple(templates)


def read_job_settings(written: Written, outputs: Iterable[type[OutputSettings]]) -> tuple[JobSettings, Settings]:
    """Return the settings of a job, with the outputs among these that are asked for. Raise SettingsError."""
    job = JobSettings.read(written)
    if job.name is None:
        raise SettingsError(f"{job.origin('name')} is missing: name the job")
    selection = SelectionSettings.read(written)
    folders, templates = _places(job.folders, selection, Given(written))
    return job, Settings(
        folders=folders, templates=templates, outputs=asked_for(outputs, Given(written)), selection=selection
    )
