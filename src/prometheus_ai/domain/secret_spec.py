"""Where the secrets of a backend are kept: references alone, never a value."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SECRET_NAME = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
ENV_PREFIX = "PAI_SECRET_"
"""Variables of the control plane that secrets may come from; others are the operator's own."""
SECRETS_FOLDER = "/run/secrets"
"""Where a container finds its secrets, one file each."""
SECRETS_VARIABLE = "PAI_SECRETS"
"""The variable that tells a model server's process where its secrets are."""

_PLACES = ("env", "file", "docker", "vault")


class SecretReference(BaseModel):
    """Where one secret is kept; exactly one of `env`, `file`, `docker` and `vault`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, strict=False)

    env: str | None = Field(
        default=None,
        pattern=rf"^{ENV_PREFIX}[A-Za-z0-9_]{{1,100}}$",
        description="A variable of the control plane; its name starts with `PAI_SECRET_`.",
        examples=["PAI_SECRET_HUB_TOKEN"],
    )
    file: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="A file in the control plane's folder of secrets (setting `secrets_folder`).",
        examples=["hub-token"],
    )
    docker: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$",
        description="A Docker secret given to the control plane's own container.",
        examples=["hub-token"],
    )
    vault: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_. -]+)+$",
        max_length=512,
        description="A path in Vault's key-value store, version 2: the mount, then the path.",
        examples=["secret/team/digits"],
    )
    field: str = Field(
        default="value",
        min_length=1,
        max_length=128,
        description="Which field of the Vault secret.",
    )

    @property
    def words(self) -> str:
        """The reference in one word, for messages: ``env:PAI_SECRET_HUB``."""
        kind = next(name for name in _PLACES if getattr(self, name) is not None)
        text = f"{kind}:{getattr(self, kind)}"
        return f"{text}#{self.field}" if kind == "vault" else text

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if sum(getattr(self, name) is not None for name in _PLACES) != 1:
            raise ValueError(f"give exactly one of {', '.join(_PLACES)}")
        if self.vault is not None and any(part in (".", "..") for part in self.vault.split("/")):
            raise ValueError(f"{self.vault!r} is no path in Vault")
        return self
