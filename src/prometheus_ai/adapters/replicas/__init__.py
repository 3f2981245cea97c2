"""Replicas asked directly: what model servers answered, for the control plane alone.

Endpoints of replicas and positions in their memory enter.
Readings of answers, feedback and counters leave.
It never sends a request that a user would notice, and never decides what a reading means.
"""
