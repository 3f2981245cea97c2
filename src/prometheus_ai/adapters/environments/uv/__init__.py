"""Environments made by uv.

Requirements and locks enter; hashed locks and virtual environments with the model server inside leave.
What is installed has the hashes of the lock, and a half-made environment is never used.
It never downloads a Python and never copies another tool's configuration.
"""

from prometheus_ai.adapters.environments.uv.environments import UvEnvironments

__all__ = ["UvEnvironments"]
