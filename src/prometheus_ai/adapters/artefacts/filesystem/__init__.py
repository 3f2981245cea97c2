"""Artefacts in a folder of this machine.

Streams, manifests and downloads enter; files named by their digest and views with their own names leave.
Everything is written aside, flushed and renamed, and hashed again before each use.
It never shows half a file and never trusts a size or a time instead of the content.
"""

from prometheus_ai.adapters.artefacts.filesystem.store import FilesystemArtefactStore

__all__ = ["FilesystemArtefactStore"]
