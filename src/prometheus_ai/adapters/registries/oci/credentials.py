"""Who we are to an image registry: from the environment, or as ``docker login`` left it."""

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_ai.adapters.registries.oci.reference import HUB
from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.secret import Secret

USER_VARIABLE = "PAI_REGISTRY_USER"
PASSWORD_VARIABLE = "PAI_REGISTRY_PASSWORD"
HELPER_S = 30.0
_HUB_KEY = "https://index.docker.io/v1/"
_HELPER = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """A user and a password."""

    user: str
    password: Secret = field(repr=False)


def credentials_of(host: str, environ: Mapping[str, str]) -> Credentials | None:
    """Return what to present to a host; None for an anonymous visitor.

    Raises:
        InvalidInput: the file that ``docker login`` wrote cannot be read.
    """
    if user := environ.get(USER_VARIABLE):
        return Credentials(user=user, password=Secret(environ.get(PASSWORD_VARIABLE, "")))
    folder = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME", "/")) / ".docker")
    path = Path(folder) / "config.json"
    try:
        held = json.loads(path.read_text("utf-8"))
        entry = held.get("auths", {}).get(_HUB_KEY if host == HUB else host) or {}
        helper = held.get("credHelpers", {}).get(host) or held.get("credsStore", "")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise InvalidInput(f"{path} cannot be read: {type(error).__name__}") from error
    if entry.get("auth"):
        return _decoded(str(entry["auth"]), path)
    return _helped(str(helper), host) if helper else None


def _decoded(text: str, path: Path) -> Credentials:
    try:
        user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        # Not chained: the cause would carry what was to be decoded.
        raise InvalidInput(f"{path}: an `auth` is not base64 of USER:PASSWORD") from None
    return Credentials(user=user, password=Secret(password))


def _helped(helper: str, host: str) -> Credentials | None:
    """Ask the program that keeps credentials for Docker."""
    if not _HELPER.fullmatch(helper):
        raise InvalidInput(f"{helper!r} is no name of a credential helper")
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=_HUB_KEY if host == HUB else host,
            capture_output=True,
            text=True,
            timeout=HELPER_S,
            check=False,
        )
        if done.returncode:
            return None
        found = json.loads(done.stdout)
        return Credentials(user=str(found["Username"]), password=Secret(str(found["Secret"])))
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        raise InvalidInput(
            f"docker-credential-{helper} gave no credentials: {type(error).__name__}"
        ) from None
