"""Builders: one package for each kind of engine that makes images.

Plans with their files enter; images, and what is known of them, leave.
Every builder builds the same plan.
None of them decides what goes into an image.
"""
