"""Answers: what replicas gave, what people say of them, and what rollouts learn from both.

Readings of replicas and feedback of people enter.
Settled labels, counted outputs, compared shadows and what was lost on the way leave.
It judges no release, and it never stands in the way of a request.
"""
