"""Replicas over HTTP, as the wire page describes them.

Endpoints and positions enter.
Readings with answers, feedback, counters and moments leave.
It never waits longer than its timeout, and never takes a strange answer for silence.
"""

from prometheus_ai.adapters.replicas.http.reader import HttpReplicaReader

__all__ = ["HttpReplicaReader"]
