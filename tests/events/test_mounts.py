"""The mount table, and what follows for a folder on a network file system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from fexp.disk.mounts import Mounts, is_network, parse_mounts, points_between
from fexp.model import Backend
from tests.engine.live import watching

if TYPE_CHECKING:
    from pathlib import Path

TABLE = rb"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:5 / /dev rw shared:2 master:3 - devtmpfs dev rw
24 22 0:40 / /mnt/with\040space\134and\012more rw - nfs4 host:/export rw
25 22 0:41 / /mnt/share rw - tmpfs none rw
26 25 0:42 / /mnt/share rw,noatime shared:9 - cifs //host/share rw
a line that is none
27 22 0:43 / /mnt/ssh rw - fuse.sshfs host: rw
28 22 0:44 / /mnt/images rw - fuse.squashfuse image rw
29 22 0:45 / /proc rw - proc none rw
"""


def test_the_table_is_read_as_the_kernel_writes_it() -> None:
    mounts = dict(parse_mounts(TABLE).values())
    assert mounts[b"/"] == b"ext4"
    assert mounts[b"/mnt/with space\\and\nmore"] == b"nfs4"
    assert mounts[b"/mnt/share"] == b"cifs", "of two on one point the upper one counts"


@pytest.mark.parametrize("byte", sorted(b"\r\v\f\x1c\x85\xff"))
def test_only_a_newline_ends_a_line_of_the_table(byte: int) -> None:
    name = b"/mnt/a%cb" % byte
    table = TABLE + b"29 22 0:45 / %b rw - nfs4 host:/export rw\n" % name
    assert dict(parse_mounts(table).values())[name] == b"nfs4"
    assert points_between(parse_mounts(TABLE), parse_mounts(table)) == {name}


@pytest.mark.parametrize(
    ("line", "point"),
    [
        (b"30 26 0:46 / /mnt/share rw - cifs //other/share rw\n", b"/mnt/share"),
        (b"30 22 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n", b"/"),
        (b"30 22 0:46 / /new rw - tmpfs none rw\n", b"/new"),
    ],
)
def test_a_mount_on_top_of_one_of_the_same_type_is_a_change(line: bytes, point: bytes) -> None:
    before, after = parse_mounts(TABLE), parse_mounts(TABLE + line)
    assert points_between(before, after) == points_between(after, before) == {point}
    assert points_between(after, parse_mounts(TABLE + line)) == set()


def test_a_mount_in_the_place_of_one_of_the_same_type_is_a_change() -> None:
    other = TABLE.replace(b"27 22 0:43 / /mnt/ssh", b"31 22 0:47 / /mnt/ssh")
    assert points_between(parse_mounts(TABLE), parse_mounts(other)) == {b"/mnt/ssh"}


@pytest.mark.parametrize(
    ("kind", "network"),
    [
        (b"nfs4", True),
        (b"fuse.sshfs", True),
        (b"ext4", False),
        (b"fuse.squashfuse", False),
        (b"fuseblk", False),
    ],
)
def test_network_file_systems_are_known_by_their_type(kind: bytes, *, network: bool) -> None:
    assert is_network(kind) is network


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (b"/mnt/share", b"cifs"),
        (b"/mnt/share/deep/er", b"cifs"),
        (b"/mnt/share/", b"cifs"),
        (b"/mnt/shared", None),
        (b"/mnt", None),
        (b"/", None),
        (b"", None),
        (b"/mnt/ssh/home", b"fuse.sshfs"),
        (b"/mnt/images/one", None),
        (b"/proc/1", b"proc"),
    ],
)
def test_a_path_is_on_the_file_system_of_its_nearest_mount(path: bytes, kind: bytes | None) -> None:
    mounts = Mounts()
    try:
        mounts._kinds, mounts._has_silent = dict(parse_mounts(TABLE).values()), True
        assert mounts.silent_kind(path) == kind
    finally:
        mounts.close()


def test_the_real_table_has_a_root_and_no_news() -> None:
    mounts = Mounts()
    try:
        assert b"/" in mounts._kinds
        assert not mounts.changed_points()
    finally:
        mounts.close()
        mounts.close()


def test_what_lies_on_a_network_file_system_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    share = os.fsencode(tmp_path / "root" / "share")
    os.makedirs(os.path.join(share, b"deep"))

    def silent_kind(_: Mounts, path: bytes) -> bytes | None:
        return b"nfs4" if path.startswith(share) else None

    monkeypatch.setattr(Mounts, "silent_kind", silent_kind)
    with watching(tmp_path / "root", Selection(recursive=True), poll_interval_seconds=0.05) as live:
        assert live.quiet().backend is Backend.POLLING
        (tmp_path / "root" / "share" / "deep" / "a").touch()
        live.until(lambda folder: folder.groups[0].files == 1)
        (tmp_path / "root" / "told").touch()
        assert live.pattern().files == 2
    assert [record.getMessage().count("network file system") for record in caplog.records] == [1]


def test_the_kernels_own_file_systems_are_polled(caplog: pytest.LogCaptureFixture) -> None:
    """What happens in /proc gives no event, though it can be watched."""
    with watching(f"/proc/{os.getpid()}/fdinfo", poll_interval_seconds=0.05) as live:
        before = live.quiet()
        assert (before.up, before.backend) == (True, Backend.POLLING)
        pipes = [os.pipe() for _ in range(50)]
        try:
            live.until(lambda folder: folder.groups[0].files >= before.groups[0].files + 50)
        finally:
            for pipe in pipes:
                for descriptor in pipe:
                    os.close(descriptor)
    assert [record.getMessage().count("proc gives no events") for record in caplog.records] == [1]
