"""Signers: what binds a name to bytes.

Digests and keys enter; signatures and the answer whether they hold leave.
No private key is ever stored, logged or sent from here.
"""
