"""Model files, read without being loaded.

A file or folder enters; its format, what it would run when loaded and every byte that was understood leave.
A callable is allowed by name or it is a finding, and it never passes what it could not read to the end.
"""

from prometheus_ai.adapters.scanners.model_files.scanner import ModelFileScanner

__all__ = ["ModelFileScanner"]
