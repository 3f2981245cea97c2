"""Hosting.

Model configurations enter.
Loaded, warmed-up, queued models leave.
It never parses requests.
"""
