"""Model servers side by side: how each is installed, started and asked.

PyPI packages and two models enter.
Running servers that answer the same questions leave.
Nothing here measures: the questions do.
"""
