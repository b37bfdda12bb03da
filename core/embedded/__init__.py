"""The embedded PostgreSQL: it runs under VAR_DIR while a process uses it, without any configuration (CLAR-2).

Each process that uses it holds a shared kernel lock. A keeper, a small process of its own, starts the server, and stops
it when it can take that lock exclusively: the last user has then ended, normally or not. To learn whether the server
runs, a process connects to its socket; process ids kept in files are not trusted.
"""

from core.embedded.errors import EmbeddedDatabaseError
from core.embedded.folder import Folder
from core.embedded.use import hold, release, running, use, wait_until_ready

__all__ = ["EmbeddedDatabaseError", "Folder", "hold", "release", "running", "use", "wait_until_ready"]
