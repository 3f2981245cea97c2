"""What comes with a deploy: specs, model files and locks.

Bytes and texts that a client sends enter, and checked, stored, digested inputs leave.
Everything is verified before a release may name it.
Nothing here makes a release or gives it traffic.
"""
