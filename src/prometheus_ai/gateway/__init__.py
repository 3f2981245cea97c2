"""The gateway's pure side: what the data plane must be told, and in which order.

A route table and the listener's options enter.
Envoy configuration files and the steps that put them in force without a gap leave.
It never writes a file, starts a process or asks the data plane anything.
"""
