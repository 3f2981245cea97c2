"""``pai version``."""

import platform

from prometheus_ai import __version__
from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command


@command()
@as_json
def version(as_json: bool) -> None:
    """Print the version of this command line.

    Examples:
      pai version
      pai version --json
    """
    if as_json:
        python = platform.python_version()
        output.write_json({"version": __version__, "python": python, "machine": platform.machine()})
    else:
        output.write(__version__)
