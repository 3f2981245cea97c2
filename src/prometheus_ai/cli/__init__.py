"""The command line: the same verbs as the REST API, for people and scripts.

Words and files enter, and tables, JSON on standard output, messages on standard error and an exit code leave.
One command is one file; it is loaded when it is named, so that ``pai --help`` and ``pai status`` are quick.
It never touches state itself: it asks the control plane, and only ``up``, ``server`` and ``gateway`` start processes.
"""
