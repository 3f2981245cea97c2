"""The Python client: the platform's verbs as methods of one class.

Paths, plain values and arrays enter, and records that read well in a notebook leave.
It speaks to the control plane and the gateway over HTTP, as the command line does, with a bound on every wait.
It never imports the platform's machinery, so that it starts fast and fits into any environment.
"""

from prometheus_ai.client.prediction import Prediction
from prometheus_ai.client.records import Record, Records
from prometheus_ai.client.session import Client

__all__ = ["Client", "Prediction", "Record", "Records"]
