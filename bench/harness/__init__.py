"""What every question shares: the machine it ran on, and where its answer goes.

Measurements enter.
A result file with the machine's card leaves, in ``bench/results/``.
Nothing here measures anything.
"""
