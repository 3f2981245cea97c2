"""The Open Inference Protocol over gRPC.

Protocol messages enter.
Checked rows leave towards the models' queues, and encoded answers towards the clients.
It never executes a model and needs no gRPC or protocol buffers library.
"""
