"""Data planes behind the gateway seam.

Route tables and files rendered from them enter.
Receipts, counters and a serving data plane leave.
It never decides weights or renders configuration; those functions are handed in.
"""
