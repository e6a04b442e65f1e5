"""What can go wrong, named by whose problem it is.

FexpError
 ├─ SettingsError   the command line or the config is wrong; nothing new was started      exit status 2
 │   └─ MissingError
 ├─ FolderError     a folder could not be read                                            exit status 1
 ├─ ChangesLostError  a program took changes too slowly                                   exit status 1
 └─ OutputError     one output could not deliver; a daemon counts it and tries again       exit status 1

``OSError`` is caught where the file or the socket is touched and becomes one of these, or a fact ("it is gone").
The text of an error is one line that names the thing, the place and the way out. It never holds a secret.
"""


class FexpError(Exception):
    """Base of all errors that fexp prints as one line."""

    exit_status = 1


class SettingsError(FexpError):
    """The user's mistake, found before anything was done with it."""

    exit_status = 2


class MissingError(SettingsError):
    """Something that the settings name is not there. Where there is more to do, it may still come."""


class FolderError(FexpError):
    """A folder could not be read."""


class ChangesLostError(FexpError):
    """Changes were lost, because they were taken more slowly than they came. What comes next is whole again.

    ``lost``: how many. A file that matches two patterns counts twice.
    """

    def __init__(self, lost: int) -> None:
        super().__init__(
            f"{lost} changes were lost, as they came faster than they were taken:"
            " look at the folders again, or give more capacity"
        )
        self.lost = lost


class OutputError(FexpError):
    """An output failed now; the same call may work later.

    ``retry_after_seconds``: the other side asked for that much patience, or None.
    ``final``: False when trying the same thing again soon can help, True when only a change of data or settings can.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.final = final
