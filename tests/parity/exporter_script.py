"""Count the files of a folder at each scrape: an option, what is done at the start and at the end, and an update."""

import os
from collections.abc import Iterator
from types import SimpleNamespace

import fexp

FILES = fexp.gauge("spool_files", "Files in the folder.")
UPDATES = fexp.counter("spool_updates_total", "How often they were counted.", labels=["path"])


@fexp.probe(metrics=[FILES, UPDATES])
async def spool(descriptor: int, *, path: str = ".") -> list[fexp.Sample]:
    """Count the files of a folder."""
    return [FILES(len(os.listdir(descriptor))), UPDATES.inc(path=path)]


@spool.lifespan
def _(settings: SimpleNamespace) -> Iterator[int]:
    descriptor = os.open(settings.path, os.O_RDONLY)
    print("opened", flush=True)
    yield descriptor
    os.close(descriptor)
    print("closed", flush=True)


app = fexp.Exporter("spool-exporter", [spool], port=9090, version="1.0")

if __name__ == "__main__":
    app()
