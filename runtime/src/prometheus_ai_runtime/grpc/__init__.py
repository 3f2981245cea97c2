"""gRPC: the Open Inference Protocol over HTTP/2, written for this server alone.

Bytes of gRPC clients enter.
Requests leave towards the models' queues, and answers towards the clients.
It never executes a model, never opens a connection, and needs no gRPC library.
"""
