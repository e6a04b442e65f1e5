"""The mistakes in the notes on outputs that concern HTTP, by number, and secrets that must not show."""

from __future__ import annotations

import gzip
import subprocess
import sys
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.http.serving import MemoryServed, ask, make_folder, running

if TYPE_CHECKING:
    from pathlib import Path


def test_mistake_11_a_surrogate_in_a_name_is_not_a_500() -> None:
    """Mistake 11a."""
    with running(MemoryServed(folders=(make_folder("/\udc80"), make_folder("/fine")))) as server:
        for accept in ("text/plain", "application/openmetrics-text"):
            reply = ask(server, "/metrics", headers={"Accept": accept})
            assert reply.status == 200
            assert b'folder="/fine"' in reply.body
        for path in ("/", "/api/v1/folders", "/api/v1/metadata", "/-/ready"):
            assert ask(server, path).status == 200


def test_mistake_13_one_failing_folder_does_not_take_the_others_along() -> None:
    """Mistake 13a."""
    broken = make_folder("/broken")._replace(scans={"start": "many"})  # type: ignore[dict-item]
    with running(MemoryServed(folders=(broken, make_folder("/fine")))) as server:
        text = ask(server, "/metrics").text
    assert 'fexp_scans_total{folder="/fine"' in text
    assert 'fexp_files{folder="/broken"' in text


def test_mistake_21_healthy_is_not_metrics() -> None:
    """Mistake 21f."""
    with running() as server:
        assert ask(server, "/-/healthy").body == b"fexp is healthy.\n"


@pytest.mark.parametrize("password", ["x" * 73, "x" * 10_000, "\0", ""])
def test_mistake_22_no_password_makes_a_500(tmp_path: Path, password: str) -> None:
    """Mistake 22c."""
    from base64 import b64encode

    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users:\n  alice: {bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n")
    coded = b64encode(f"alice:{password}".encode()).decode()
    with running(web_config=str(path)) as server:
        assert ask(server, "/metrics", headers={"Authorization": f"Basic {coded}"}).status == 401


def test_no_secret_shows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users:\n  alice: {hashed}\n")
    right = {"Authorization": "Basic YWxpY2U6cmlnaHQ="}
    with running(web_config=str(path)) as server:
        shown = [ask(server, path, headers=right).text for path in ("/", "/metrics", "/api/v1/metadata", "/api/v1/sd")]
        ask(server, "/", headers={"Authorization": "Basic c2VjcmV0OnNlY3JldA=="})
    for text in (*shown, caplog.text):
        for secret in (hashed, "YWxpY2U6cmlnaHQ", "c2VjcmV0OnNlY3JldA"):
            assert secret not in text


def test_compressed_is_the_same_text() -> None:
    with running() as server:
        plain = ask(server, "/metrics?name[]=fexp_files")
        packed = ask(server, "/metrics?name[]=fexp_files", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.body) == plain.body


def test_the_package_imports_nothing_of_the_other_layers() -> None:
    """Edges know the words and the middle, and no other edge."""
    script = """
import sys
import fexp.outputs.http.server, fexp.outputs.http.app, fexp.outputs.http.loop, fexp.outputs.http.exposition
import fexp.outputs.http.guard, fexp.outputs.http.sockets
allowed = ("fexp.outputs.http", "fexp.errors", "fexp.model", "fexp.metrics", "fexp.text", "fexp.text")
ours = {name for name in sys.modules if name.startswith("fexp.")} - {"fexp.outputs"}
strange = {name for name in ours if not name.startswith(allowed)}
sys.exit(repr(strange) if strange else 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
