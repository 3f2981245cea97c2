"""Watching.

Timings, counters and cgroup files enter.
Histograms, health and metrics text leave.
It never changes how requests are served.
"""
