"""Ways of looking at a model file.

A path enters; engine, signature and warnings leave.
The file is read by another process, which ends with it.
Nothing here loads a model into the control plane.
"""
