"""Keys that a program keeps: a key management system, a token, a vault.

A digest enters, and a signature that its own public key confirms leaves.
The private key never enters this process, and no shell is ever asked.
"""

from prometheus_ai.adapters.signers.commands.key import CommandKey

__all__ = ["CommandKey"]
