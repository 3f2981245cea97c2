"""Answers for people and programs: how things are, and why.

Questions about backends, releases, replicas and events enter, and views that surfaces encode leave.
Every answer comes from one consistent reading of the store and the last observation.
Nothing here changes anything.
"""
