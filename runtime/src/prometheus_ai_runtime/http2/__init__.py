"""HTTP/2 as gRPC uses it: frames, header compression, flow control, calls.

Bytes of clients enter.
Messages leave towards the methods of a table, and their answers, as frames, towards the clients.
It never looks into a message, never opens a connection, and needs no other library.
"""
