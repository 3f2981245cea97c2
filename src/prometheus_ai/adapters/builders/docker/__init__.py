"""Builds by the BuildKit of a Docker Engine, through Docker's own command.

A plan with its files enters; an image, how its build went, and what any image holds leave.
What an engine can do is tried out, never read off a version.
A user's index, proxy and certificates reach a build as secrets, never as part of the image.
"""
