"""Count the files of a folder at each scrape: prometheus-aioexporter."""

import os

from aiohttp.web import Application
from click import Option, Parameter
from prometheus_aioexporter import EXPORTER_APP_KEY, Arguments, MetricConfig, PrometheusExporterScript
from prometheus_client import Counter, Gauge
from prometheus_client.metrics import MetricWrapperBase


class Script(PrometheusExporterScript):
    """Count the files of a folder."""

    name = "spool-exporter"
    version = "1.0"
    default_port = 9090

    def command_line_parameters(self) -> list[Parameter]:
        return [Option(["--spool-path"], default=".", help="the folder")]

    def configure(self, args: Arguments) -> None:
        self.path = args.spool_path
        files = MetricConfig("spool_files", "Files in the folder.", "gauge")
        updates = MetricConfig("spool_updates_total", "How often they were counted.", "counter", labels=("path",))
        self.create_metrics([files, updates])

    async def on_application_startup(self, application: Application) -> None:
        self.descriptor = os.open(self.path, os.O_RDONLY)
        print("opened", flush=True)
        application[EXPORTER_APP_KEY].set_metric_update_handler(self.update)

    async def on_application_shutdown(self, application: Application) -> None:
        os.close(self.descriptor)
        print("closed", flush=True)

    async def update(self, metrics: dict[str, MetricWrapperBase]) -> None:
        files, updates = metrics["spool_files"], metrics["spool_updates_total"]
        assert isinstance(files, Gauge)
        assert isinstance(updates, Counter)
        files.set(len(os.listdir(self.descriptor)))
        updates.labels(path=self.path).inc()


script = Script()

if __name__ == "__main__":
    script()
