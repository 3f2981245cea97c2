"""Makers of the environments that models run in.

Requirements and locks enter; complete locks and ready virtual environments leave.
An environment is named by everything that went into it, so equal releases share one.
Nothing here starts a replica or knows a backend.
"""
