from fexp.service.job.function import job as job

__version__: str
