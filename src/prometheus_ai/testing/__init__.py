"""Public stand-ins and contract suites for the seams.

Scripted behaviour enters, and the same answers that a real adapter would give leave.
Every fake passes the contract suite that the real adapters pass.
Nothing here is used by the running platform.
"""
