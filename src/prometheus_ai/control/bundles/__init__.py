"""Releases on their way to sites without a network, and their arrival there.

A release or a bundle enters; a bundle or a release leaves.
Nothing of a bundle is used before all of it was checked.
"""
