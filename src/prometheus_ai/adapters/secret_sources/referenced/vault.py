"""Secrets in HashiCorp Vault's key-value store, version 2, over its HTTP API."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from prometheus_ai.domain.errors import InvalidInput, Unavailable
from prometheus_ai.domain.secret import Secret, SecretReference

ANSWER_TIMEOUT_S = 5.0
_REASONS = {
    403: ("Vault denies it", "does the token's policy allow `read` on MOUNT/data/PATH?"),
    404: ("Vault has nothing there", "the first part is the mount: MOUNT/PATH, without `data`"),
}


@dataclass(frozen=True, kw_only=True)
class VaultSecrets:
    """Reads ``vault`` references."""

    url: str
    token: Callable[[], Secret]
    """Asked before every read, so that a renewed token counts at once."""
    namespace: str = ""
    authority: Path | None = None
    """Certificate of the authority that signed Vault's; the machine's own ones when None."""

    def read(self, reference: SecretReference) -> Secret:
        """Return the newest version of one field.

        Raises:
            InvalidInput: it is not there, or the token may not read it.
            Unavailable: Vault cannot be reached, or is sealed.
        """
        mount, _, path = str(reference.vault).partition("/")
        answer = self._ask(f"/v1/{quote(mount)}/data/{quote(path)}", reference)
        if answer.status_code in _REASONS:
            why, hint = _REASONS[answer.status_code]
            raise InvalidInput(f"secret {reference.words} cannot be read: {why}", hint=hint)
        if answer.status_code != 200:
            raise Unavailable(
                f"secret {reference.words} cannot be read: Vault answered {answer.status_code}",
                hint="503 means that it is sealed; see `vault status`",
            )
        return _field_of(answer, reference)

    def _ask(self, path: str, reference: SecretReference) -> httpx.Response:
        headers = {"X-Vault-Token": self.token().reveal(), "X-Vault-Request": "true"}
        if self.namespace:
            headers["X-Vault-Namespace"] = self.namespace
        trusted = ssl.create_default_context(cafile=self.authority) if self.authority else True
        try:
            with httpx.Client(verify=trusted, timeout=ANSWER_TIMEOUT_S, trust_env=False) as client:
                return client.get(self.url.rstrip("/") + path, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without its cause, which may quote the token as a header that cannot be sent.
            raise Unavailable(
                f"secret {reference.words} cannot be read: no answer from Vault at {self.url}"
                f" ({type(error).__name__})",
                hint="check vault_url, and that Vault runs",
            ) from None


def _field_of(answer: httpx.Response, reference: SecretReference) -> Secret:
    """Take one field out of an answer; what it holds is in no message."""
    try:
        fields = answer.json()["data"]["data"]
    except (ValueError, KeyError, TypeError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidInput(
            f"secret {reference.words} is in no key-value store of version 2",
            hint="`vault secrets list -detailed` shows the version",
        )
    value = fields.get(reference.field)
    if not isinstance(value, str) or not value:
        raise InvalidInput(
            f"secret {reference.words}: there is no text in field {reference.field!r}",
            hint="name the field with `field:`; its name is `value` when left out",
        )
    return Secret(value)
