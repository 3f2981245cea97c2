"""Commands that move images: to image registries and back, and as sealed bundles to sites without a network.

Files and references enter; pushed, pulled, signed and verified images leave.
No command here prints a credential or a private key.
"""
