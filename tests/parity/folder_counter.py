"""Count the files with one extension in a folder: ``folder_counter.py FOLDER --ext txt``, on port 9877."""

import fexp

fexp.Exporter("folder-counter", [], port=9877)()
