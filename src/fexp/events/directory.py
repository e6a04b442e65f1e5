"""The directories that are watched: what a source and the engine keep about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.counting.state import Directory

if TYPE_CHECKING:
    from collections.abc import Iterator


_NO_CHILDREN: dict[bytes, WatchedDirectory] = {}
"""Of all directories that have none. Nothing is ever put into it."""


class WatchedDirectory(Directory):
    """One directory of a folder's tree. There may be a great many: what most of them lack has no object of its own."""

    __slots__ = ("_prefix", "children", "has_left", "inode", "name", "parent", "root", "seen_at", "watch")

    def __init__(self, parent: WatchedDirectory | None, name: bytes, prefix: bytes) -> None:
        super().__init__(b"" if parent is None else parent.below + name + b"/")
        self.parent = parent
        self.root: WatchedDirectory = self if parent is None else parent.root
        """The folder itself."""
        self.name = name
        self._prefix = prefix
        """The folder's path, ending in ``/``."""
        self.children = _NO_CHILDREN
        self.inode = 0
        """That its parent had for it when it was last listed; 0 before."""
        self.watch: int | None = None
        """What the source calls its watch; None when no event reports its changes."""
        self.has_left = False
        """Whether it, or a directory above it, was taken out of the tree."""
        self.seen_at: float | None = None
        """When its latest listing began, on the steady clock; None before the first."""

    @classmethod
    def of_folder(cls, path: bytes) -> WatchedDirectory:
        """Return the root of a folder's tree."""
        return cls(None, b"", path if path.endswith(b"/") else path + b"/")

    @property
    def alive(self) -> bool:
        """Return whether it is part of a folder that is watched."""
        return not (self.has_left or self.root.has_left)

    @property
    def path(self) -> bytes:
        """Return the path of the directory."""
        return (self._prefix + self.below)[:-1] or b"/"

    def child(self, name: bytes) -> WatchedDirectory:
        """Add a subdirectory that is not there yet."""
        found = WatchedDirectory(self, name, self._prefix)
        if self.children is _NO_CHILDREN:
            self.children = {}
        self.children[name] = found
        return found

    def subtree(self) -> Iterator[WatchedDirectory]:
        """Yield this directory and all below it."""
        stack = [self]
        while stack:
            directory = stack.pop()
            yield directory
            stack.extend(directory.children.values())

    def detach(self) -> None:
        """Take it out of its parent, if it is still there."""
        if self.parent is not None and self.parent.children.get(self.name) is self:
            del self.parent.children[self.name]
