"""The wiring: the only place that names concrete classes.

Settings enter and running processes leave.
Each process (control plane, gateway) is put together here from ports and adapters.
It never decides anything about a backend.
"""
