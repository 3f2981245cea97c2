"""The local target: each replica is a process on this machine under a small supervisor, the shim.

Replica orders enter; processes, their health and their ends leave.
The folder of a replica is the truth: a new driver learns everything from it.
It never guesses a port or a process id, and never stops a replica because the control plane ended.
"""
