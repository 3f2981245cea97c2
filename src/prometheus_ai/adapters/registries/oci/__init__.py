"""The OCI distribution protocol over HTTP, and OCI layouts as files.

References, layouts and credentials enter; pushed and pulled images with everything that refers to them leave.
Credentials never enter a message, a log or a file.
"""

from prometheus_ai.adapters.registries.oci.bundles import OciBundles, seal_bundle
from prometheus_ai.adapters.registries.oci.client import OciRegistry
from prometheus_ai.adapters.registries.oci.credentials import credentials_of
from prometheus_ai.adapters.registries.oci.layout import Layout, open_layout
from prometheus_ai.adapters.registries.oci.reference import Reference, read_reference
from prometheus_ai.adapters.registries.oci.transfer import attach, pull, push, signatures_of

__all__ = [
    "Layout",
    "OciBundles",
    "OciRegistry",
    "Reference",
    "attach",
    "credentials_of",
    "open_layout",
    "pull",
    "push",
    "read_reference",
    "seal_bundle",
    "signatures_of",
]
