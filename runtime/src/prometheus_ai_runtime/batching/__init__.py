"""Batching.

Requests' rows enter.
Results per request leave.
It never sees HTTP, files or other models.
"""
