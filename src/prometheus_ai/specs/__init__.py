"""The spec file: from text to a checked value and back.

The text of a ``pai.yaml`` enters, and a ``Spec``, an annotated text, a JSON Schema or a list of changes leaves.
Every problem is reported at once, with its line, its field, what is allowed and the nearest match.
It never opens a file, reads a clock or asks a network.
"""
