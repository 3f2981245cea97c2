"""Autoscaling: each release follows its own demand.

Counters of the gateway and the scaling policies of releases enter.
Replica counts and recorded decisions with their numbers leave.
The decider is asked for every count; nothing here computes one, and nothing shrinks on silence.
"""
