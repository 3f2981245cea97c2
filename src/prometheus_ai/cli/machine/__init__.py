"""Commands about this machine: up, down, server, gateway, doctor, version, completion.

Settings of a home folder enter, and running processes and findings about the machine leave.
Nothing here ends a process that this home did not start.
"""
