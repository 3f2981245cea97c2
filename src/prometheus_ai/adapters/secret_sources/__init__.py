"""Places that keep secrets.

References enter; the secrets themselves leave, wrapped so that they do not print.
It never writes one down.
No message of it holds more than the reference.
"""
