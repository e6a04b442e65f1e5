"""Config files: what may stand in them, where a mistake is said to be, and who wins."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from fexp.config.config_file import DEFAULTS, FOLDERS, GROUPS, OUTPUTS, ConfigReader, read_config_files
from fexp.config.entries import keys_of
from fexp.config.given import Given
from fexp.config.origin import Origin
from fexp.config.output import asked_for
from fexp.config.sample import sample
from fexp.config.schema import schema
from fexp.config.selection import SelectionSettings
from fexp.config.settings import EngineSettings, LoggingSettings, read_settings
from fexp.config.shape import Shape, is_path, shape_of
from fexp.counting.group_by import GroupBy
from fexp.errors import SettingsError
from fexp.outputs.kinds import settings_types
from fexp.service.oneshot import find_folders
from tests.outputs.samples import command_line
from tests.test_readme import README

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fexp.config.options import Group, Option
    from fexp.config.settings import Settings

NOTHING = command_line({})
SCHEMA = jsonschema.Draft202012Validator(schema(settings_types()))
SAMPLES = {
    "landing zone": """
folders:
  - path: inbox
    ext: [csv, xml]
    exclude: "*.part"
    recursive: true
    max_depth: 2
    labels: {team: payments, tier: 1}
    age_buckets: [1h, 1d]
    size_buckets: 1k,1MiB
  - archive
defaults: {hidden: false, ignore_case: true}
outputs:
  listen: [":9877", "[::1]:9877"]
  heartbeat: 30
  textfile: {file: fexp.prom, mode: 0644}
  gateway: {url: https://h:9091, job: zone, grouping: {site: a}, gzip: true, password_file: secret, user: me}
  remote_write: {url: http://h/api/v1/write, labels: {cluster: x}, deadline: 5s}
engine: {rescan: 10m, backend: polling, log_level: debug, dwell_buckets: none, splay: 1s, deadline: 1m}
""",
    "groups": """
folders:
  - path: in
    by_ext: true
    top: 3
    compound_ext: [tar.gz]
    group: ^(?P<partner>[A-Z]+)_
    max_groups: 20
    per_file: true
    max_series: 10
defaults: {group_folder: "data/(?P<customer>[^/]+)"}
""",
    "nothing but a folder": "folders: [data]",
    "sections that are still empty": "folders: [data]\ndefaults:\noutputs:\nengine:\n",
    "what fexp shows": sample(settings_types()),
    "the README's": re.findall(r"^```yaml\n(folders:\n.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)[0],
}


def given(text: str, command_line: Any = NOTHING, path: str = "/etc/fexp.yml") -> Given:
    reader = ConfigReader(settings_types())
    reader.parse(text, path)
    return Given(command_line, reader.sections(), reader.folders(), reader.probes())


def settings(text: str, command_line: Any = NOTHING, paths: tuple[str, ...] = ()) -> Settings:
    its = given(text, command_line)
    return read_settings(paths, its, asked_for(settings_types(), its))


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_a_sample_is_accepted_by_fexp_and_by_the_schema(text: str) -> None:
    its = settings(text, command_line({"config": ["/etc/fexp.yml"]}))
    assert its.folders + its.templates
    SCHEMA.validate(yaml.safe_load(text))


def test_what_the_landing_zone_says_is_what_is_done() -> None:
    its = settings(SAMPLES["landing zone"])
    inbox, archive = its.folders
    assert (inbox.path, archive.path) == (b"/etc/inbox", b"/etc/archive")
    assert inbox.selection.patterns == ("*.csv", "*.xml")
    assert (inbox.selection.recursive, inbox.selection.max_depth, inbox.selection.ignore_case) == (True, 2, True)
    assert (archive.selection.recursive, archive.selection.ignore_case) == (False, True)
    assert inbox.labels == {"team": "payments", "tier": "1"}
    assert inbox.measures.age_bounds_seconds == (3600.0, 86400.0)
    textfile, gateway, remote_write = its.outputs
    assert (textfile.file, textfile.mode) == ("/etc/fexp.prom", 0o644)  # type: ignore[attr-defined]
    assert (gateway.job, gateway.grouping, gateway.gzip) == ("zone", (("site", "a"),), True)  # type: ignore[attr-defined]
    assert gateway.password_file == "/etc/secret"  # type: ignore[attr-defined]
    assert (remote_write.job, remote_write.external_labels) == ("fexp", (("cluster", "x"),))  # type: ignore[attr-defined]
    assert its.http.listen == (":9877", "[::1]:9877")
    assert (its.engine.rescan_seconds, its.engine.dwell_bounds_seconds) == (600.0, ())
    assert (its.delivery.heartbeat_seconds, its.one_shot.splay_seconds) == (30.0, 1.0)


_WORDS = ("a=b", "7s", "3", "1,2", "0600", "csv", "tar.gz", "Asia/Tokyo", "(?P<partner>[A-Z]+)_", "*.csv", "/x")
"""One of them does for each option."""


def _every_option() -> Iterator[Any]:
    homes = itertools.chain(GROUPS.items(), ((f"{OUTPUTS}.{kind.kind}", (kind,)) for kind in settings_types()))
    for section, groups in homes:
        for group in groups:
            for key, option in group.keys().items():
                yield pytest.param(section, group, key, option, id=f"{section}.{key}")


def _raw(option: Option) -> Any:
    """Return a value other than the default, as the command line has it."""
    if shape_of(option) is Shape.FLAG:
        return True
    for word in getattr(option.parse, "known", ["/x"] if is_path(option) else _WORDS):
        raw = (word,) if option.repeatable else word
        try:
            option.parse(Origin(option.name), raw)
        except SettingsError:
            continue
        if word != option.default:
            return raw
    pytest.fail(f"no word does for {option.name}: add one")


@pytest.mark.parametrize(("section", "group", "key", "option"), list(_every_option()))
def test_every_option_can_be_said_in_a_file_as_on_the_command_line(
    section: str, group: type[Group], key: str, option: Option
) -> None:
    raw = _raw(option)
    value: Any = list(raw) if option.repeatable else raw
    if shape_of(option) is Shape.PAIRS:
        value = dict(text.split("=") for text in raw)
    document: Any = {key: value}
    for name in reversed(section.split(".")):
        document = {name: document}
    SCHEMA.validate(document)
    written = given(yaml.safe_dump(document)).of(group)
    assert option.parse(written.origin(option.name), written.value(option.name)) == option.parse(
        written.origin(option.name), raw
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("folder: [a]", "/etc/fexp.yml:1:1: unknown key 'folder'; did you mean folders?"),
        ("folders:\n- path: a\n  labell: {}", "/etc/fexp.yml:3:3: unknown key 'labell'; did you mean labels?"),
        ("folders: [{path: a, rescan: 5m}]", "/etc/fexp.yml:1:21: unknown key 'rescan' here: it belongs under engine"),
        ("engine: {ext: csv}", "/etc/fexp.yml:1:10: unknown key 'ext' here: it belongs under defaults"),
        ("outputs: {gateway: {urll: x}}", "/etc/fexp.yml:1:21: unknown key 'urll'; did you mean url?"),
        ("outputs: {gateway: {password: x}}", "1:21: unknown key 'password'; did you mean password_file?"),
        ("folders: {path: a}", "/etc/fexp.yml:1:10: a list is needed here"),
        ("defaults: {group: '[A-Z]+_'}", "/etc/fexp.yml:1:19: group [A-Z]+_ names no group: write (?P<partner>"),
        ("defaults: {group: '(?P<a>.)(?=x)'}", "/etc/fexp.yml:1:19: group (?P<a>.)(?=x): "),
        ("defaults: {group_folder: '(?P<folder>.)'}", "/etc/fexp.yml:1:26: group_folder folder: fexp uses this label"),
        ("defaults: {by_ext: true, top: 0}", "/etc/fexp.yml:1:31: top 0"),
        ("folders: [{ext: csv}]", "/etc/fexp.yml:1:11: path is missing: name the folder"),
        ("folders: [{path: }]", "path is missing"),
        ("defaults: {recursive: maybe}", "/etc/fexp.yml:1:23: true or false is needed here"),
        ("defaults: {max_depth: [1]}", "/etc/fexp.yml:1:23: a single value is needed here"),
        ("defaults: {max_depth: deep}", "/etc/fexp.yml:1:23: max_depth 'deep' is not a whole number"),
        ("defaults: {labels: [a]}", "/etc/fexp.yml:1:20: a mapping (NAME: VALUE) is needed here"),
        ("defaults: {labels: {folder: a}}", "/etc/fexp.yml:1:29: labels folder: fexp uses this label itself"),
        ("defaults: {labels: {a=b: c}}", "/etc/fexp.yml:1:26: labels 'a=b': not a label name"),
        ("defaults: {ext: [csv, a/b]}", "/etc/fexp.yml:1:23: ext 'a/b' is not an extension"),
        ("defaults: {ext: [csv, .csv]}", "/etc/fexp.yml:1:23: ext '.csv' is given twice"),
        (
            "folders: [{path: a, match: ['*.csv']}]\ndefaults: {ext: csv}",
            "/etc/fexp.yml:1:28: match '*.csv' is given already: /etc/fexp.yml:2:17: ext",
        ),
        ("folders: [a, ../etc/a/]", "1:14: path '../etc/a/' is a folder already: /etc/fexp.yml:1:11: path"),
        ("engine: {rescan: 1m, rescan: 2m}", "/etc/fexp.yml:1:22: this key is given twice"),
        ("engine: {backend: inotfy}", "/etc/fexp.yml:1:19: backend 'inotfy' is not known: auto, inotify"),
        ("engine: {rescan: '${FEXP_NO_SUCH}'}", "1:18: ${FEXP_NO_SUCH} is not set in the environment"),
        ("engine: {rescan: '${a b}'}", "1:18: '${a b}' is no variable"),
        ("folders: ['/data/${HOME']", "1:11: '${HOME' is no variable"),
        ("folders: ['/data/{Now:%Y}']", "1:11: path {Now:%Y}: write a date as {now:%Y%m%d}"),
        ("folders: ['/data/**/in']", "1:11: path **: write one * for each level, or recursive: true"),
        ("folders: [a]\nengine: [", "/etc/fexp.yml:2:10: not YAML"),
        ("defaults: {ext: csv, match: *.csv}", "/etc/fexp.yml:1:30: not YAML: put what begins with * in quotes"),
        ("defaults:\n  match: *csv\n", "/etc/fexp.yml:2:10: not YAML: put what begins with * in quotes"),
        ("defaults: {match: [@a]}", "/etc/fexp.yml:1:20: not YAML: put what begins with @ in quotes"),
        ("defaults: {match: !a b}", "/etc/fexp.yml:1:19: YAML takes what begins with ! for a tag: put it in quotes"),
        ("defaults: {settle: !!python/object:a 5}", "/etc/fexp.yml:1:20: YAML takes what begins with ! for a tag"),
        ("folders:\n\t- a", "/etc/fexp.yml:2:1: not YAML: a tab is here; indent with spaces"),
        ("folders: [a]\n---\nengine: {}", "/etc/fexp.yml:2:1: not YAML: another document begins here"),
        ("folders: [a]\n...\nengine: {}", "/etc/fexp.yml:3:1: not YAML: another document begins here"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_way_out(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        given(text)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_output_that_lacks_something_is_named_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"^/etc/fexp.yml:1:21: file is missing"):
        settings("outputs: {textfile: {mode: 0600}}\nfolders: [a]")


def test_a_mistake_between_two_values_is_named_with_both_places() -> None:
    with pytest.raises(SettingsError, match=r"^/etc/fexp.yml:1:32: max_depth says how far recursive goes"):
        settings("folders: [{path: a, max_depth: 2}]")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("folders: [{path: a, top: 3}]", "/etc/fexp.yml:1:26: top has no effect without by_ext: add by_ext"),
        (
            "folders: [{path: a*, group: '(?P<x>.)', labels: {x: b}}]",
            "/etc/fexp.yml:1:29: group x: /etc/fexp.yml:1:",
        ),
        (
            "folders: [{path: a*}]\ndefaults: {group: '(?P<x>.)', group_folder: '(?P<x>.)'}",
            "2:45: group_folder x: /etc/",
        ),
        (
            "folders: [{path: a*, group: '(?P<x>.)'}]\noutputs: {gateway: {url: http://h, grouping: {x: b}}}",
            "label x: on the series and in the gateway's key; rename one of them",
        ),
    ],
)
def test_labels_of_groups_must_not_clash(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(text)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("path", ["{}/acme", "{}/*", "{}"])
def test_groups_are_those_of_folders_and_templates(path: str, tmp_path: Path) -> None:
    for name in ("acme", "bmw"):
        (tmp_path / name).mkdir()
    entry = {"path": path.format(tmp_path), "group": "^(?P<partner>[A-Z]+)_", "per_subfolder": path == "{}"}
    defaults = {"group_folder": ".*/(?P<customer>.*)", "max_groups": 7, "by_ext": True}
    its = settings(yaml.safe_dump({"folders": [entry], "defaults": defaults}))
    folders, _ = find_folders(its, 0.0)
    assert [folder.labels for folder in folders] == [{"customer": "acme"}, {"customer": "bmw"}][: len(folders)]
    assert len(folders) == (1 if path == "{}/acme" else 2)
    for folder in folders:
        assert folder.group_by == GroupBy(10, (), "^(?P<partner>[A-Z]+)_", ("partner",), 7)


def test_the_command_line_wins_over_the_file_and_a_folder_over_the_defaults() -> None:
    text = "folders: [{path: a, recursive: false, ext: csv}, b]\ndefaults: {recursive: true, ext: xml, max_depth: 3}"
    text += "\nengine: {rescan: 1m, poll_interval: 2s}"
    a, b = settings(text).folders
    assert (a.selection.recursive, a.selection.max_depth, a.selection.patterns) == (False, None, ("*.csv",))
    assert (b.selection.recursive, b.selection.max_depth, b.selection.patterns) == (True, 3, ("*.xml",))
    its = settings(text, command_line({"ext": ["pdf"], "rescan": "3m"}))
    assert {folder.selection.patterns for folder in its.folders} == {("*.pdf",)}
    assert (its.engine.rescan_seconds, its.engine.poll_interval_seconds) == (180.0, 2.0)


def test_a_default_holds_where_there_is_what_it_is_about() -> None:
    own = "{path: a, recursive: true, stall_after: 1h, settle: 1m}"
    text = f"folders: [{own}, b]\ndefaults: {{max_depth: 2, partial: ['*.up'], count: settled}}"
    a, b = settings(text).folders
    assert (a.selection.max_depth, a.selection.partials, a.measures.counts_settled) == (2, ("*.up",), True)
    assert (b.selection.max_depth, b.selection.partials, b.measures.counts_settled) == (None, (), False)
    with pytest.raises(SettingsError, match="2:23: max_depth 0 is too small"):
        settings(text.replace("max_depth: 2", "max_depth: 0"))


def test_dwell_buckets_are_those_of_the_folder_then_the_defaults_then_the_engine() -> None:
    text = "folders: [{path: a, dwell_buckets: [1s, 1m]}, b]\nengine: {dwell_buckets: 5s}"
    its = settings(text)
    assert [folder.measures.dwell_bounds_seconds for folder in its.folders] == [(1.0, 60.0), None]
    assert its.engine.dwell_bounds_seconds == (5.0,)
    its = settings(text + "\ndefaults: {dwell_buckets: none}")
    assert [folder.measures.dwell_bounds_seconds for folder in its.folders] == [(1.0, 60.0), ()]
    its = settings(text, command_line({"dwell-buckets": "2s"}))
    assert {folder.measures.dwell_bounds_seconds for folder in its.folders} == {(2.0,)}
    with pytest.raises(SettingsError, match=r"1:36: dwell_buckets 'one' is not a duration"):
        settings(text.replace("1s, 1m", "one"))


def test_folders_of_the_command_line_take_the_place_of_those_of_the_file(tmp_path: Path) -> None:
    its = settings("folders: [a]\ndefaults: {ext: csv}", paths=(str(tmp_path),))
    assert [(folder.label, folder.selection.patterns) for folder in its.folders] == [(str(tmp_path), ("*.csv",))]


def test_without_any_folder_there_is_nothing_to_do() -> None:
    with pytest.raises(SettingsError, match="FOLDER is missing"):
        settings("engine: {rescan: 5m}")


def test_variables_are_replaced_in_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZONE", "acme: {x}")
    monkeypatch.setenv("DEEP", "true")
    (folder,) = settings("""
folders:
  - path: /data/${ZONE}/in
    recursive: ${DEEP}
    labels: {zone: "${ZONE}", plain: "$${ZONE}", dollar: a$b}
    match: ["${ZONE}*"]
""").folders
    assert folder.path == b"/data/acme: {x}/in"
    assert folder.labels == {"zone": "acme: {x}", "plain": "${ZONE}", "dollar": "a$b"}
    assert folder.selection.patterns == ("acme: {x}*",)
    assert folder.selection.recursive


def test_the_files_of_a_directory_add_up(tmp_path: Path) -> None:
    for name, text in {
        "10-main.yml": "defaults: {ext: csv}\nengine: {rescan: 1m}\noutputs: {textfile: {file: x.prom}}",
        "20-acme.yaml": "folders: [/data/acme]\nengine: {log_level: debug}\noutputs: {textfile: {mode: 0600}}",
        ".hidden.yml": "engine: {rescan: 2m}",
        "notes.txt": "not: read",
    }.items():
        (tmp_path / name).write_text(text)
    reader = read_config_files([str(tmp_path)], settings_types())
    its = Given(NOTHING, reader.sections(), reader.folders())
    (folder,) = read_settings((), its).folders
    assert (folder.path, folder.selection.patterns) == (b"/data/acme", ("*.csv",))
    assert EngineSettings.read(its.of(EngineSettings)).rescan_seconds == 60.0
    assert LoggingSettings.read(its.of(LoggingSettings)).log_level == "debug"
    assert [one.mode for one in asked_for(settings_types(), its)] == [0o600]  # type: ignore[attr-defined]
    (tmp_path / "30.yml").write_text("folders: [/data/acme]")
    with pytest.raises(SettingsError, match=r"30.yml:1:11: path '/data/acme' is a folder already: .*20-acme.yaml:1:11"):
        read_config_files([str(tmp_path)], settings_types())
    (tmp_path / "30.yml").write_text("engine: {rescan: 3m}")
    with pytest.raises(SettingsError, match=r"30.yml:1:18: rescan is given already: .*10-main.yml:2:18: rescan"):
        read_config_files([str(tmp_path)], settings_types())


def test_a_directory_whose_name_looks_like_a_glob_is_none(tmp_path: Path) -> None:
    for name in ("[a]*", "a"):
        (tmp_path / name / "in").mkdir(parents=True)
    config = tmp_path / "[a]*" / "fexp.yml"
    config.write_text("folders: [in, 'i?']")
    reader = read_config_files([str(config)], settings_types())
    its = read_settings((), Given(NOTHING, reader.sections(), reader.folders()))
    assert [folder.label for folder in find_folders(its, 0.0)[0]] == [f"{tmp_path}/[a]*/in"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yml").write_bytes(b"folders: [\xe4]")
    for path, complaint in {
        "none.yml": "cannot be read: No such file",
        "empty": "the directory holds no *.yml",
        "latin.yml": "not UTF-8",
    }.items():
        with pytest.raises(SettingsError, match=re.escape(complaint)) as refused:
            read_config_files([str(tmp_path / path)], settings_types())
        assert str(tmp_path / path) in str(refused.value)


def test_no_two_sections_share_a_key_with_two_meanings() -> None:
    for groups in GROUPS.values():
        assert len(keys_of(groups)) == sum(len(group.keys()) for group in groups)
    assert FOLDERS not in keys_of(GROUPS[DEFAULTS])
    assert SelectionSettings.keys()["labels"].name == "label"


@pytest.mark.parametrize(
    "document",
    [{"folder": []}, {"folders": [{"ext": "csv"}]}, {"engine": {"rescan": "soon"}}, {"engine": {"backend": "x"}},
     {"defaults": {"recursive": "yes"}}, {"outputs": {"gateway": {"password": "x"}}}],
)  # fmt: skip
def test_the_schema_refuses_what_fexp_refuses(document: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(document)
    with pytest.raises(SettingsError):
        given(yaml.safe_dump(document).replace("'yes'", '"yes"'))
