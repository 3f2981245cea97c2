"""Image registries: where images, signatures and attestations are kept for others.

A reference and bytes enter; manifests, blobs and what refers to them leave.
Nothing is taken from an image registry without checking its digest.
"""
