"""One directory at the limits of the kernel: paths that are too long for it, and descriptors that do not stay open."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fexp.counting.selection import Selection
from fexp.disk import scan

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_NAME = b"n" * 255


def make(root: Path, length: int) -> bytes:
    """Make a directory whose path has so many bytes, with a file of the longest name and a directory in it."""
    path = os.fsencode(root)
    place = os.open(path, os.O_RDONLY)
    while len(path) < length:
        left = length - len(path) - 1
        name = b"d" * (left if left <= 200 else min(200, left - 2))
        os.mkdir(name, dir_fd=place)
        deeper = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place, path = deeper, path + b"/" + name
    os.close(os.open(LONGEST_NAME, os.O_CREAT | os.O_WRONLY, dir_fd=place))
    os.mkdir(LONGEST_NAME[1:], dir_fd=place)
    os.close(place)
    assert len(path) == length
    return path


def open_descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


# 3,840 and a slash and 255 and a NUL are one byte more than the kernel takes for a path.
@pytest.mark.parametrize("length", [3838, 3839, 3840, 3841, 4093, 4094, 4095, 4096, 4097, 8192, 12_000])
def test_a_directory_at_any_depth_is_looked_at_whole(tmp_path: Path, length: int) -> None:
    path = make(tmp_path, length)
    before = open_descriptors()
    listing = scan.list_directory(path, b"", Selection(recursive=True))
    assert listing.files.names == [LONGEST_NAME]
    assert list(listing.subdirectories) == [LONGEST_NAME[1:]]
    assert not listing.faults
    found = scan.look_at(path, [LONGEST_NAME, b"gone"], follow_symlinks=False)
    assert found.files.names == [LONGEST_NAME]
    assert found.missing == [b"gone"]
    assert not found.faults
    assert scan.directory_inode(path)
    assert scan.directory_inode(path + b"/" + LONGEST_NAME[1:])
    assert not scan.directory_inode(path + b"/" + LONGEST_NAME)
    assert open_descriptors() == before


@pytest.mark.parametrize("length", [100, 3840, 12_000])
def test_a_directory_that_is_gone_leaves_no_descriptor_open(tmp_path: Path, length: int) -> None:
    path = make(tmp_path, max(length, len(os.fsencode(tmp_path)) + 2)) + b"/gone" * 3
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        scan.list_directory(path, b"", Selection())
    assert scan.look_at(path, [b"a"], follow_symlinks=False).missing == [b"a"]
    assert not scan.directory_inode(path)
    assert open_descriptors() == before
