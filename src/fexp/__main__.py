"""``python -m fexp`` is ``fexp``."""

from fexp.cli import main

main()
