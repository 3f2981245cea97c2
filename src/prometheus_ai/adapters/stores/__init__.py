"""Durable state and the lock on a home folder.

Values of ``domain/`` enter through the StateStore port and come back equal.
Database failures leave as errors of the platform's tree, each with a hint.
Nothing here decides anything, and nothing here hashes or judges an audit record.
"""
