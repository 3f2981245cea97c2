"""The schema's history, one file a step.

An older database enters and the present schema leaves, in one transaction.
Alembic finds and orders the steps in ``versions``.
Nothing here reads or changes what the rows mean.
"""
