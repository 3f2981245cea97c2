"""Sockets.

A listening socket and a maker of protocols enter.
Transports that read and write at once, without a library, leave.
It never sees what the bytes mean.
"""
