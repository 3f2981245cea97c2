"""Tensors on the wire.

Request bodies enter.
Checked raw tensors and encoded answers leave.
It never runs a model or opens a socket.
"""
