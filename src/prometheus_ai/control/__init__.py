"""The conductor: one use case a file, and the loops.

Requests of people and the passing of time enter.
Stations are asked to decide, ports are asked to act, and every change is recorded with the change itself.
Nothing here computes a decision, knows a kind of target, or names an adapter.
"""
