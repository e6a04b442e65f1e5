from fexp.api.apps import asgi_app as asgi_app
from fexp.api.apps import wsgi_app as wsgi_app
from fexp.api.changes import Change as Change
from fexp.api.changes import Watch as Watch
from fexp.api.changes import watch as watch
from fexp.api.collector import FolderCollector as FolderCollector
from fexp.api.delivering import push as push
from fexp.api.delivering import write_textfile as write_textfile
from fexp.api.looking import FolderNumbers as FolderNumbers
from fexp.api.looking import look as look
from fexp.errors import ChangesLostError as ChangesLostError
from fexp.errors import FexpError as FexpError
from fexp.errors import FolderError as FolderError
from fexp.errors import OutputError as OutputError
from fexp.errors import SettingsError as SettingsError
from fexp.model import Happening as Happening
from fexp.service.job.function import job as job

__version__: str
