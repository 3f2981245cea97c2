"""The REST API: the one door to the control plane, for the command line, the client and the dashboard.

HTTP requests with a bearer token enter, and JSON, streams of lines or an error with a code and a hint leave.
Each route decodes, authorises by its declared role, calls one use case of ``control`` and encodes the answer.
It never decides anything about a backend and keeps nothing between requests.
"""

from prometheus_ai.api.app import create_app, create_schema

__all__ = ["create_app", "create_schema"]
