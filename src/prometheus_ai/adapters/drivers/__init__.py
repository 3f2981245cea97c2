"""Drivers: one package for each kind of target.

Orders to start, stop and observe replicas enter; running replicas and what was seen of them leave.
Every driver passes the one contract suite in ``testing/driver_contract.py``.
No driver decides how many replicas there should be, or when.
"""
