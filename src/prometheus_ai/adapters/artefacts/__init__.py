"""Stores of artefacts: models and locks, by the digest of their content.

Bytes and URLs enter; digests and verified, read-only paths leave.
Every store passes the one contract suite in ``testing/artefact_store_contract.py``.
No store decides which artefact is still needed.
"""
