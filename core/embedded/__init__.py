"""The embedded PostgreSQL: it runs under VAR_DIR while a process uses it, without any configuration (CLAR-2).

Each process that uses it holds a shared kernel lock. A keeper, a small process of its own, starts the server, and stops
it when it can take that lock exclusively, which is when the last user has ended, in whatever way. Whether the server
runs is asked by connecting to its socket; no process id that is kept in a file is believed.
"""

from core.embedded.errors import EmbeddedDatabaseError
from core.embedded.folder import Folder
from core.embedded.use import hold, release, running, use, wait_until_ready

__all__ = ["EmbeddedDatabaseError", "Folder", "hold", "release", "running", "use", "wait_until_ready"]
