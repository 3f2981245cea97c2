"""Rows for people.

Rows as JSON objects, arrays, CSV or Parquet enter.
Raw tensors for the queue, and answers in the kind of the request, leave.
It never runs a model and knows nothing of connections.
"""
