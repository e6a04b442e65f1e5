"""The options, declared once and shared by the commands that take them.

A field is an option: its name gives ``--name`` and the environment variable ``FEXP_NAME``; an alias has its own.
"""

from __future__ import annotations

import inspect
import re
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args, get_type_hints

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNTS = "What counts"
_WHERE = "Where the numbers go"
_GATEWAY = "Pushgateway"
_REMOTE_WRITE = "Remote write"
_HOW = "How it watches"
_CRON = "When and how long"


def _option(help_text: str, panel: str, *names: str, metavar: str | None = None) -> Any:  # typer's own type
    return typer.Option(*names, help=help_text, rich_help_panel=panel, metavar=metavar, show_envvar=False)


class SelectionOptions(NamedTuple):
    """Which files count."""

    ext: Annotated[
        list[str],
        _option("Count files with this extension, with or without the dot; repeatable.", _COUNTS, metavar="EXT"),
    ] = []
    match: Annotated[
        list[str], _option("Count files whose name matches this glob; repeatable.", _COUNTS, metavar="GLOB")
    ] = []
    exclude: Annotated[
        list[str],
        _option("Leave out a name, or with a / a path below the folder; repeatable.", _COUNTS, metavar="GLOB"),
    ] = []
    recursive: Annotated[bool, _option("Look into subfolders too.", _COUNTS, "--recursive", "-r")] = False
    max_depth: Annotated[int | None, _option("How deep -r goes; 1 is the folder itself.", _COUNTS, metavar="N")] = None
    hidden: Annotated[bool, _option("Count hidden names and enter hidden folders.", _COUNTS, "--hidden")] = False
    follow_symlinks: Annotated[
        bool, _option("Count a symlink to a file by its target.", _COUNTS, "--follow-symlinks")
    ] = False
    ignore_case: Annotated[bool, _option("TXT is txt.", _COUNTS, "--ignore-case")] = False
    label: Annotated[
        list[str], _option("Add a label to every folder series; repeatable.", _COUNTS, metavar="NAME=VALUE")
    ] = []


class GroupOptions(NamedTuple):
    """Whose the numbers are: the key of a Pushgateway's group, the labels of remote write; and how they may go."""

    job: Annotated[str, _option("The job in the group's key, and of remote write.", _GATEWAY, metavar="NAME")] = "fexp"
    instance: Annotated[
        str | None,
        _option(
            "The instance in the group's key, and of remote write; the host name if not given.",
            _GATEWAY,
            metavar="NAME",
        ),
    ] = None
    grouping: Annotated[
        list[str], _option("Add a label to the group's key; repeatable.", _GATEWAY, metavar="NAME=VALUE")
    ] = []
    gateway_mode: Annotated[
        str, _option("pushgateway, or import to POST to exactly the URL given.", _GATEWAY, metavar="MODE")
    ] = "pushgateway"
    insecure: Annotated[
        bool, _option("Send credentials over plain http to another machine all the same.", _GATEWAY, "--insecure")
    ] = False


class EndpointOptions(NamedTuple):
    """How one receiver is reached; each field's option begins with the receiver's."""

    user: Annotated[str | None, _option("User for basic authentication.", "", metavar="NAME")] = None
    password_file: Annotated[
        str | None, _option("File with the password; or set FEXP_…_PASSWORD.", "", metavar="FILE")
    ] = None
    token_file: Annotated[str | None, _option("File with a bearer token; or set FEXP_…_TOKEN.", "", metavar="FILE")] = (
        None
    )
    ca_file: Annotated[str | None, _option("Certificates that sign the other side's.", "", metavar="FILE")] = None
    cert_file: Annotated[str | None, _option("Client certificate.", "", metavar="FILE")] = None
    key_file: Annotated[str | None, _option("Its key.", "", metavar="FILE")] = None
    deadline: Annotated[str, _option("All of one request, with its retries.", "", metavar="DURATION")] = "10s"


class CompressionOptions(NamedTuple):
    """What only a Pushgateway can be asked to take."""

    gateway_gzip: Annotated[bool, _option("Compress what is pushed.", _GATEWAY, "--gateway-gzip")] = False


class Prefixed(NamedTuple):
    """A group whose options begin with a prefix."""

    group: Any
    prefix: str
    panel: str


GATEWAY_ENDPOINT = Prefixed(EndpointOptions, "gateway_", _GATEWAY)
REMOTE_WRITE_ENDPOINT = Prefixed(EndpointOptions, "remote_write_", _REMOTE_WRITE)


class WatchOptions(NamedTuple):
    """Outputs of ``watch``."""

    listen: Annotated[
        list[str],
        _option(
            "Serve /metrics on :9877, 127.0.0.1:9877, [::1]:9877, unix:PATH or systemd; repeatable.",
            _WHERE, "--listen", "--web.listen-address", metavar="ADDR",
        ),
    ] = []  # fmt: skip
    web_config: Annotated[
        str | None,
        _option(
            "TLS and users of the server, as exporter-toolkit reads it.",
            _WHERE,
            "--web-config",
            "--web.config.file",
            metavar="FILE",
        ),
    ] = None
    textfile: Annotated[
        str | None, _option("Keep a file for node_exporter's textfile collector.", _WHERE, metavar="FILE.prom")
    ] = None
    textfile_mode: Annotated[str, _option("The file's mode.", _WHERE, metavar="MODE")] = "0644"
    gateway: Annotated[str | None, _option("Keep a group on a Pushgateway.", _WHERE, metavar="URL")] = None
    remote_write: Annotated[
        str | None, _option("Write to Prometheus, VictoriaMetrics, Mimir, Thanos.", _WHERE, metavar="URL")
    ] = None
    remote_write_label: Annotated[
        list[str], _option("Add a label to all that is written; repeatable.", _REMOTE_WRITE, metavar="NAME=VALUE")
    ] = []
    heartbeat: Annotated[str, _option("Deliver this often even when nothing changed.", _WHERE, metavar="DURATION")] = (
        "60s"
    )
    min_interval: Annotated[str, _option("Deliver no more often.", _WHERE, metavar="DURATION")] = "1s"
    keep_on_exit: Annotated[
        bool,
        _option("On a clean stop leave the file and the group behind, and end no series.", _WHERE, "--keep-on-exit"),
    ] = False


class EngineOptions(NamedTuple):
    """How ``watch`` watches."""

    backend: Annotated[str, _option("auto, inotify, observer or polling.", _HOW, metavar="NAME")] = "auto"
    rescan: Annotated[
        str, _option("Look at everything this often, for at most a twentieth of the time.", _HOW, metavar="DURATION")
    ] = "5m"
    poll_interval: Annotated[
        str, _option("Look this often at what gives no events, within the same bound.", _HOW, metavar="DURATION")
    ] = "5s"
    dwell_buckets: Annotated[
        str | None, _option("Bounds of fexp_dwell_seconds, such as 1s,1m,1h,1d.", _HOW, metavar="LIST")
    ] = None
    log_level: Annotated[str, _option("debug, info, warning or error.", _HOW, metavar="LEVEL")] = "info"


class PushOptions(NamedTuple):
    """What only ``push`` takes."""

    gateway: Annotated[str, _option("The Pushgateway.", _GATEWAY, metavar="URL")] = "http://127.0.0.1:9091"
    delete: Annotated[bool, _option("Delete the group instead; FOLDER is not needed.", _GATEWAY, "--delete")] = False
    expire: Annotated[
        str | None,
        _option(
            "Delete this job's groups that nobody pushed for so long; FOLDER is not needed.",
            _GATEWAY,
            metavar="DURATION",
        ),
    ] = None


class WriteOptions(NamedTuple):
    """What only ``write`` takes."""

    textfile: Annotated[
        str | None, _option("The file for node_exporter's textfile collector.", _WHERE, metavar="FILE.prom")
    ] = None
    textfile_mode: Annotated[str, _option("The file's mode.", _WHERE, metavar="MODE")] = "0644"


class CronOptions(NamedTuple):
    """What one-shots from cron take."""

    splay: Annotated[
        str,
        _option(
            "Wait a random while up to this long first, so that a fleet does not push at once.",
            _CRON,
            metavar="DURATION",
        ),
    ] = "0"
    deadline: Annotated[str, _option("Give up after this long, all in all.", _CRON, metavar="DURATION")] = "5m"


class ScanOptions(NamedTuple):
    """What only ``scan`` takes."""

    format: Annotated[
        str | None,
        _option("table, prom, openmetrics or json; table on a terminal, else prom.", _WHERE, metavar="FORMAT"),
    ] = None


class Taking(NamedTuple):
    """A command and the groups of options that it is called with, after its folders."""

    command: Callable[..., object]
    groups: tuple[Prefixed, ...]
    folders_required: bool

    def for_typer(self) -> Callable[..., object]:
        """Give a function whose signature is the FOLDER arguments and all the options."""

        def run(folders: list[str] | None = None, **values: Any) -> object:
            filled = [
                group(**{name: values[prefix + name] for name in group._fields}) for group, prefix, _ in self.groups
            ]
            return self.command(list(folders or ()), *filled)

        parameters = [_folder_parameter(required=self.folders_required)]
        for group in self.groups:
            parameters.extend(_parameters(group))
        run.__name__ = self.command.__name__
        run.__doc__ = self.command.__doc__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads the signature
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run


def given(options: Any, prefix: str = "") -> set[str]:
    """Name the options of a group that differ from their defaults."""
    defaults = options._field_defaults
    changed = (field for field in options._fields if getattr(options, field) != defaults[field])
    return {"--" + (prefix + field).replace("_", "-") for field in changed}


def takes(*groups: Any, folders_required: bool = True) -> Callable[[Callable[..., object]], Taking]:
    """Say which options a command takes. It is called with the folders and one of each group."""
    prefixed = tuple(group if isinstance(group, Prefixed) else Prefixed(group, "", "") for group in groups)
    return lambda command: Taking(command, prefixed, folders_required)


def _folder_parameter(*, required: bool) -> inspect.Parameter:
    argument = typer.Argument(metavar="FOLDER...", help="A folder to look at, or a file in it.", show_default=False)
    return inspect.Parameter(
        "folders",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        annotation=Annotated[list[str] if required else list[str] | None, argument],
        default=inspect.Parameter.empty if required else None,
    )


def _variable(option: str) -> str:
    return "FEXP_" + re.sub(r"[-.]", "_", option.lstrip("-")).upper()


def _parameters(prefixed: Prefixed) -> list[inspect.Parameter]:
    group = prefixed.group
    hints = get_type_hints(group, include_extras=True)
    parameters = []
    for field in group._fields:
        kind, declared = get_args(hints[field])
        name = prefixed.prefix + field
        shown = copy(declared)
        shown.envvar = [_variable(name), *map(_variable, (n for n in declared.param_decls if n.startswith("--")))]
        shown.rich_help_panel = prefixed.panel or declared.rich_help_panel
        annotation = Annotated[kind, shown]  # type: ignore[valid-type]  # typer reads it at run time
        default = group._field_defaults[field]
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        )
    return parameters
