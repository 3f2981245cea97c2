"""Commands about sealed bundles: releases that travel as one file.

A backend's name or a file enters; a file or a release leaves.
Nothing of a bundle is used before all of it was checked.
"""
