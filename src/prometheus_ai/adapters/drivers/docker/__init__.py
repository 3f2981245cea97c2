"""The Docker target: each replica is a hardened container on one Docker Engine.

Replica orders and images made for releases enter; containers, their health and their ends leave.
The engine is the truth: containers carry labels that tell a new driver everything.
It never publishes a port of a replica on this machine, and never restarts a container by itself.
"""
