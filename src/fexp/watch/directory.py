"""The directories that are watched: what a source and the engine keep about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fexp.files.state import Directory

if TYPE_CHECKING:
    from collections.abc import Iterator


class WatchedDirectory(Directory):
    """One directory of a folder's tree."""

    __slots__ = ("alive", "children", "inode", "name", "parent", "path", "root", "seen_at", "watch")

    def __init__(self, parent: WatchedDirectory | None, name: bytes, path: bytes) -> None:
        super().__init__(b"" if parent is None else parent.below + name + b"/")
        self.parent = parent
        self.root: WatchedDirectory = self if parent is None else parent.root
        """The folder itself."""
        self.name = name
        self.path = path
        self.children: dict[bytes, WatchedDirectory] = {}
        self.inode = 0
        """That its parent had for it when it was last listed; 0 before."""
        self.watch: int | None = None
        """What the source calls its watch; None when no event reports its changes."""
        self.alive = True
        """False once it is no longer part of the tree."""
        self.seen_at: float | None = None
        """When its latest listing began, on the steady clock; None before the first."""

    def child(self, name: bytes) -> WatchedDirectory:
        """Add a subdirectory that is not there yet."""
        separator = b"" if self.path.endswith(b"/") else b"/"
        found = WatchedDirectory(self, name, self.path + separator + name)
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
