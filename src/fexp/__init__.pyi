from fexp.cli.exporter import Exporter as Exporter
from fexp.metrics.declared import Sample as Sample
from fexp.metrics.declared import counter as counter
from fexp.metrics.declared import gauge as gauge
from fexp.metrics.declared import histogram as histogram
from fexp.metrics.declared import info as info
from fexp.metrics.declared import state_set as state_set
from fexp.metrics.declared import summary as summary
from fexp.probes.file import File as File
from fexp.probes.parameters import Option as Option
from fexp.probes.probe import Probe as Probe
from fexp.probes.probe import adapt as adapt
from fexp.probes.probe import probe as probe
from fexp.probes.triggers import cron as cron
from fexp.probes.triggers import every as every
from fexp.probes.triggers import files as files
from fexp.probes.triggers import scrape as scrape
from fexp.service.job.function import job as job

__version__: str
