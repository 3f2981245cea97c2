"""Metrics kept elsewhere.

Queries enter.
One number each leaves, or why there is none.
It never guesses: what is missing, stale or ambiguous is said to be so.
"""
