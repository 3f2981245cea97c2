"""The control loop: one pass after another, each observing, deciding, recording and acting.

What is wanted, what is seen and the time enter.
Records, effects on targets and route tables leave, each guarded by the version that was read.
It never computes a decision itself, and never serves a person's question.
"""
