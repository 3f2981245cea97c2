"""Secrets where they are kept.

References of specs enter; the secrets themselves leave, wrapped so that they do not print.
It never writes one down, and no message of it holds more than the reference.
"""
