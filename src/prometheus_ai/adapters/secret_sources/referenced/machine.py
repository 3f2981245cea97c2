"""Secrets on the control plane's own machine: variables, files, and Docker's secrets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.secret import SECRETS_FOLDER, Secret, SecretReference

SECRET_BYTES_MAX = 64 * 2**10


@dataclass(frozen=True, kw_only=True)
class MachineSecrets:
    """Reads ``env``, ``file`` and ``docker`` references."""

    environ: Mapping[str, str]
    folder: Path
    """The only folder that ``file`` references reach; links out of it are not followed."""
    docker_folder: Path = Path(SECRETS_FOLDER)
    """Where Docker puts secrets into the control plane's own container."""

    def read(self, reference: SecretReference) -> Secret:
        """Return what is there now.

        Raises:
            InvalidInput: nothing is there, or it may not be read; names the reference alone.
        """
        if reference.env is not None:
            return self._variable(reference.env, reference.words)
        if reference.docker is not None:
            return read_secret_file(
                self.docker_folder, reference.docker, reference.words,
                hint=f"give the control plane's container that secret; it is read from {self.docker_folder}",
            )  # fmt: skip
        return read_secret_file(
            self.folder, str(reference.file), reference.words,
            hint=f"put it into {self.folder}, or set secrets_folder",
        )  # fmt: skip

    def _variable(self, name: str, words: str) -> Secret:
        value = self.environ.get(name)
        if not value:
            raise InvalidInput(
                f"secret {words} is not set where the control plane runs",
                hint=f"start the control plane with {name} in its environment",
            )
        return Secret(value)


def read_secret_file(folder: Path, name: str, words: str, *, hint: str) -> Secret:
    """Read one secret below a folder.

    Raises:
        InvalidInput: it is outside, missing, too large or no text.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidInput(f"secret {words} lies outside of {folder}", hint=hint)
    try:
        with path.open("rb") as file:
            data = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidInput(f"secret {words} cannot be read: {error.strerror}", hint=hint) from error
    if len(data) > SECRET_BYTES_MAX:
        raise InvalidInput(f"secret {words} is larger than {SECRET_BYTES_MAX // 1024} KiB")
    try:
        return Secret(data.decode("utf-8"))
    except UnicodeDecodeError:
        # The cause would carry the bytes.
        raise InvalidInput(f"secret {words} is not UTF-8 text") from None
