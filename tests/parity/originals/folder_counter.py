"""Count the files with one extension in a folder, every 10 seconds: prometheus_client and a loop."""

import argparse
import logging
import os
import time

from prometheus_client import Gauge, start_http_server

logging.basicConfig(level=logging.INFO)
log = logging.getLogger()


class FolderCounter:
    def __init__(self, folder: str, ext: str) -> None:
        self.folder = folder
        self.ext = ext
        self.gauges: dict[str, Gauge] = {}

    def count(self) -> int:
        return len([name for name in os.listdir(self.folder) if name.endswith(self.ext)])

    def create_gauge(self, name: str) -> None:
        if name not in self.gauges:
            self.gauges[name] = Gauge(name, f"number of *{self.ext} files in {self.folder}")

    def set_value(self, name: str) -> None:
        number = self.count()
        self.gauges[name].set(number)
        log.info("%s: %d", name, number)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--ext", default=".txt")
    options = parser.parse_args()
    counter = FolderCounter(options.folder, options.ext)
    start_http_server(9877)
    while True:
        counter.create_gauge("folder_files")
        counter.set_value("folder_files")
        time.sleep(10)


if __name__ == "__main__":
    main()
