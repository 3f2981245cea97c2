"""Known weaknesses, matched with packages on this machine.

OSV archives and lists of exploited weaknesses enter; an indexed file and the weaknesses of a list of packages leave.
It never asks a server about a package, and never passes one because it does not know its version.
"""

from prometheus_ai.adapters.scanners.advisories.database import SqliteAdvisories

__all__ = ["SqliteAdvisories"]
