"""HTTP.

Bytes from clients enter.
Bytes of answers leave.
It never touches a model, only the host's queues.
"""
