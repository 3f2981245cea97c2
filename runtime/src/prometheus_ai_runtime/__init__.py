"""The PROMETHEUS model server: it answers requests with one or more trained models.

A model file, its configuration and requests of the Open Inference Protocol v2 enter.
Answers, truthful health, metrics and log lines leave.
It never imports the platform, and knows of it only what the wire page says.
"""
