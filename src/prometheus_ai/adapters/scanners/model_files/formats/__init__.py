"""Formats of model files, one a module.

A stream of bytes enters; findings leave, and the stream is consumed to its end.
None of them keeps a model in memory, and none follows what a file points to.
"""
