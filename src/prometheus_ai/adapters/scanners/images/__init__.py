"""Images, looked into without running them.

A saved image or root file system enters; its packages, the credentials in any layer and its model files leave.
It never judges, never follows a link out of the image, and names what it could not read.
"""

from prometheus_ai.adapters.scanners.images.cyclonedx import write_cyclonedx
from prometheus_ai.adapters.scanners.images.files import LayeredImageFiles
from prometheus_ai.adapters.scanners.images.scanner import LayeredImageScanner

__all__ = ["LayeredImageFiles", "LayeredImageScanner", "write_cyclonedx"]
