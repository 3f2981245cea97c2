"""Targets that run containers, and the images that they run.

Records of targets, releases and specs enter; opened targets, built images and what is known of both leave.
Every build is recorded, and every target added or removed is an audited event.
Nothing here knows how an engine is spoken to.
"""
