"""Keeps a folder in step with a study's data on a Beiwe server.

`sync` does one run. `server` asks the server, `folder` keeps what is on this machine, `cli` is the console command.
"""

from beiwe_sync.folder import Folder, FolderInUse
from beiwe_sync.server import Refused, RemoteFile, Server
from beiwe_sync.sync import Outcome, sync

__all__ = ["Folder", "FolderInUse", "Outcome", "Refused", "RemoteFile", "Server", "sync"]
