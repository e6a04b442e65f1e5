"""Random storms on a real disk, a running engine, and a second opinion on every number."""
