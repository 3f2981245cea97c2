"""Where the control plane is, and the token to show it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_ai.domain.errors import InvalidInput, Unauthenticated

DEFAULT_HOME = "~/.pai"
FILE_NAME = "credentials.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """An address and a secret that does not print itself."""

    url: str
    token: str = field(repr=False)


def home_folder(home: Path | str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the home folder: the one given, ``PAI_HOME``, or ``~/.pai``."""
    return Path(home or environ.get("PAI_HOME") or DEFAULT_HOME).expanduser().absolute()


def find_credentials(
    url: str | None,
    token: str | None,
    home: Path | str | None,
    environ: Mapping[str, str] = os.environ,
) -> Credentials:
    """Return what is given, then ``PAI_URL`` and ``PAI_TOKEN``, then the home folder's file.

    A stored token is only ever sent to the address it was stored with.

    Raises:
        Unauthenticated: nothing names a token, or the file's token is not for that address.
        InvalidInput: the file cannot be understood.
    """
    url = url or environ.get("PAI_URL")
    token = (token or environ.get("PAI_TOKEN") or "").strip()
    if not (token.isascii() and token.isprintable()):
        raise Unauthenticated(
            "the token is not valid: it holds characters that no token has",
            hint="a token is pai_ and 49 letters and digits; copy it whole into PAI_TOKEN",
        )
    path = home_folder(home, environ) / FILE_NAME
    if url and token:
        return Credentials(url=url.rstrip("/"), token=token)
    stored = _read(path)
    if stored is None:
        raise Unauthenticated(
            f"no token: {path} does not exist",
            hint="start the platform with `pai up`, or set PAI_URL and PAI_TOKEN",
        )
    if url and url.rstrip("/") != stored.url:
        raise Unauthenticated(
            f"no token for {url}: {path} holds one for {stored.url}",
            hint="give the token too, or set PAI_TOKEN",
        )
    return Credentials(url=stored.url, token=token or stored.token)


def _read(path: Path) -> Credentials | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unauthenticated(
            f"{path} cannot be read: {error.strerror}",
            hint="it belongs to the user who ran `pai up`; ask for a token of your own",
        ) from error
    try:
        stored = json.loads(text)
        return Credentials(url=str(stored["url"]).rstrip("/"), token=str(stored["token"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{path} holds no url and token", hint="remove it; `pai up` writes it again"
        ) from error
