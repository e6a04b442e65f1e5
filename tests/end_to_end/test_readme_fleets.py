"""What the README tells a Prometheus to do, done: its own YAML, run by real ones against real ``fexp watch``.

Only addresses and paths are replaced, and all is scraped and recorded several times a second. The servers start
together, as each takes some seconds before its first scrape.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from fexp import __version__
from tests.end_to_end.running import watching
from tests.http.certificates import make_pair
from tests.servers import Server, free_port, poll, running_prometheus, running_pushgateway
from tests.test_readme import README, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = """\
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: ["rules*.yml"]
"""
SCRAPES = re.compile(r"^```yaml\n(scrape_configs:\n.*?)^```$", re.DOTALL | re.MULTILINE).findall(README.read_text())
wait_for = partial(poll, seconds=30)
KEY = ("fexp", "*.txt")


def replaced(text: str, words: dict[str, str]) -> str:
    """Replace words, each of which has to be there."""
    for old, new in words.items():
        assert old in text, f"the README no longer says {old}"
        text = text.replace(old, new)
    return text


def block(marker: str) -> str:
    """The README's one scrape config that holds this."""
    (found,) = [text for text in SCRAPES if marker in text]
    return str(found)


def values(server: Server, expression: str, *labels: str) -> dict[tuple[Any, ...], float]:
    """What an expression gives now, by these labels."""
    return {
        tuple(one["metric"].get(label) for label in labels): float(one["value"][1]) for one in server.query(expression)
    }


class Fleet:
    """Hosts a, b and c (TLS and a user) and a pushing one, and a Prometheus for each of the README's blocks."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path, self._stack = path, stack
        self.a = self._host("a", 3)
        self.b = self._host("b", 4)
        pair = make_pair("c")
        pair.write(path, "c")
        hashed = bcrypt.hashpw(b"of prometheus", bcrypt.gensalt(4)).decode()
        (path / "web.yml").write_text(
            f"tls_server_config: {{cert_file: c.crt, key_file: c.key}}\nbasic_auth_users: {{prometheus: '{hashed}'}}\n"
        )
        (path / "password").write_text("of prometheus\n")
        self.c = self._host("c", 5, "--web-config", str(path / "web.yml"))
        gateway = stack.enter_context(running_pushgateway(path / "gateway"))
        self._host("d", 6, "--gateway", gateway.url, "--instance", "d.example")

        by_name = replaced(block("host.example:9877"), {"host.example:9877": self.a})
        by_file = block("file_sd_configs")
        (hosts,) = re.findall(r"\[fexp-hosts.yml\] # (.*\n)", by_file)
        hosts = replaced(hosts, {"a.example:9877": self.a, "b.example:9877": self.b})
        secured = {
            "/etc/prometheus/fexp-password": str(path / "password"),
            "/etc/prometheus/fexp-ca.crt": f"{path}/c.crt",
        }
        by_itself = replaced(block("http_sd_configs"), secured)
        pushed = replaced(block("honor_labels"), {"127.0.0.1:9091": f"127.0.0.1:{gateway.port}"})

        self.by_name = self._prometheus("by-name", by_name)
        self.by_file = self._prometheus("by-file", by_file, hosts)
        self.by_itself = self._prometheus("by-itself", replaced(by_itself, {"c.example:9877": self.c}))
        nobody = f"127.0.0.1:{free_port()}"
        self.by_nobody = self._prometheus("by-nobody", replaced(by_itself, {"c.example:9877": nobody}))
        self.pushed = self._prometheus("pushed", pushed)

    def folder(self, name: str) -> Path:
        return self._path / f"in-{name}"

    def _host(self, name: str, files: int, *arguments: str) -> str:
        """Run a ``fexp watch`` on so many files; give the address it serves at."""
        folder = self.folder(name)
        folder.mkdir()
        for number in range(files):
            (folder / f"{number}.txt").touch()
            os.utime(folder / f"{number}.txt", (1_000_000_000 + files, 1_000_000_000 + files))
        fexp = watching(str(folder), "--ext", "txt", "--listen", "127.0.0.1:0", *arguments)
        return self._stack.enter_context(fexp).url.partition("://")[2].rstrip("/")

    def _prometheus(self, name: str, config: str, hosts: str = "") -> Server:
        """Run a Prometheus with this scrape config, the file beside it, and all the rules of the README."""
        directory = self._path / name
        directory.mkdir()
        (directory / "fexp-hosts.yml").write_text(hosts)
        for number, rules in enumerate(RULES):
            (directory / f"rules{number}.yml").write_text(rules)
        return self._stack.enter_context(running_prometheus(directory, config=PREFIX + config))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path_factory.mktemp("fleet"), stack)


def test_each_scrape_config_of_the_readme_is_run_here() -> None:
    markers = ("host.example:9877", "file_sd_configs", "http_sd_configs", "honor_labels")
    assert sorted(SCRAPES) == sorted(map(block, markers))


@pytest.mark.slow
def test_one_host_by_its_name(fleet: Fleet) -> None:
    wait_for(lambda: values(fleet.by_name, "up", "job", "instance") == {("fexp", fleet.a): 1})
    wait_for(
        lambda: values(fleet.by_name, "fexp_files", "job", "instance", "pattern") == {("fexp", fleet.a, "*.txt"): 3}
    )


def test_a_host_tells_of_itself_with_its_scheme_and_version_behind_tls_and_a_user(fleet: Fleet) -> None:
    poll(
        lambda: values(fleet.by_itself, "up", "job", "instance", "fexp_version") == {("fexp", fleet.c, __version__): 1}
    )
    wait_for(lambda: values(fleet.by_itself, "job_pattern:fexp_files:sum", "job", "pattern") == {KEY: 5})


def test_a_host_that_has_not_answered_is_no_target(fleet: Fleet) -> None:
    wait_for(
        lambda: re.search(
            "^prometheus_sd_http_failures_total [1-9]", fleet.by_nobody.get("/metrics").text, re.MULTILINE
        )
    )
    assert fleet.by_nobody.get("/api/v1/targets").json()["data"]["activeTargets"] == []
    assert values(fleet.by_nobody, "up", "instance") == {}


def test_job_and_instance_are_those_of_the_push(fleet: Fleet) -> None:
    wait_for(lambda: values(fleet.pushed, "fexp_files", "job", "instance") == {("fexp", "d.example"): 6})
    wait_for(lambda: values(fleet.pushed, "up", "job") == {("pushgateway",): 1})
    wait_for(lambda: values(fleet.pushed, "push_time_seconds", "job", "instance").keys() == {("fexp", "d.example")})


@pytest.mark.slow
def test_a_file_of_hosts_and_the_rules_that_add_them_up(fleet: Fleet) -> None:
    """The hosts' file is the one of the block's comment. What is recorded follows what happens in the folders."""

    def recorded(name: str) -> dict[tuple[Any, ...], float]:
        return values(fleet.by_file, name, "job", "pattern")

    wait_for(lambda: values(fleet.by_file, "up", "job", "instance") == {("fexp", fleet.a): 1, ("fexp", fleet.b): 1})
    wait_for(lambda: recorded("job_pattern:fexp_files:sum") == {KEY: 7})
    wait_for(lambda: recorded("job_pattern:fexp_oldest_file_timestamp_seconds:min") == {KEY: 1_000_000_003})
    wait_for(lambda: recorded("job_pattern:fexp_arrivals:rate5m") == {KEY: 0})
    wait_for(lambda: values(fleet.by_file, "job:fexp_folder_up:count_down", "job") == {("fexp",): 0})
    (fleet.folder("b") / "new.txt").touch()
    wait_for(lambda: recorded("job_pattern:fexp_files:sum") == {KEY: 8})
    wait_for(lambda: recorded("job_pattern:fexp_arrivals:rate5m").get(KEY, 0) > 0)
    fleet.folder("a").rename(fleet.folder("away"))
    wait_for(lambda: recorded("job_pattern:fexp_files:sum") == {KEY: 5})
    wait_for(lambda: recorded("job_pattern:fexp_oldest_file_timestamp_seconds:min") == {KEY: 1_000_000_004})
    wait_for(lambda: values(fleet.by_file, "job:fexp_folder_up:count_down", "job") == {("fexp",): 1})
