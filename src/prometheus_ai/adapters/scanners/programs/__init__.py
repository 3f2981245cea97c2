"""Trivy, Grype and Syft, where they are installed.

A saved image enters; what each of them says of it leaves, in one form.
None of them is ever installed, updated or needed, and what one leaves out is no all-clear.
"""

from prometheus_ai.adapters.scanners.programs.grype import GRYPE
from prometheus_ai.adapters.scanners.programs.program import Program
from prometheus_ai.adapters.scanners.programs.syft import SYFT
from prometheus_ai.adapters.scanners.programs.trivy import TRIVY

__all__ = ["GRYPE", "SYFT", "TRIVY", "Program"]
