"""Commands for those who answer for the platform: audit, tokens, garbage.

A question or an order enters, and findings, secrets shown once or freed bytes leave.
Nothing here keeps a secret.
"""
