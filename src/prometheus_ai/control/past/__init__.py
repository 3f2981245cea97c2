"""Releases against their past: what is usual at each hour of the week, and what got worse since.

Stored measurements and counted answers of releases enter.
Recorded regressions leave, with what they were compared with.
It changes no traffic, and it says nothing where too little is known.
"""
