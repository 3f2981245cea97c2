"""Recent answers and feedback in an SQLite file of their own.

Answers, feedback and counts of labels enter.
What feedback says of each release leaves, and counts by hour.
It never grows beyond its bounds, and losing the file loses no release and no route.
"""

from prometheus_ai.adapters.stores.answers.log import SqliteAnswerLog

__all__ = ["SqliteAnswerLog"]
