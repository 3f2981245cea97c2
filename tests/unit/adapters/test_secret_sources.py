"""Secrets are read where they are kept, and no error tells what they are."""

import json
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prometheus_ai.adapters.secret_sources.referenced import (
    MachineSecrets,
    ReferencedSecrets,
    VaultSecrets,
)
from prometheus_ai.adapters.secret_sources.referenced.machine import SECRET_BYTES_MAX
from prometheus_ai.compose.settings import load_settings
from prometheus_ai.compose.targets import open_secrets
from prometheus_ai.domain.errors import InvalidInput, PlatformError, Unavailable
from prometheus_ai.domain.secret import Secret, SecretReference

VALUE = "correct-horse-battery"
TOKEN = "hvs.CAESIJvault"


@pytest.fixture
def machine(tmp_path: Path) -> MachineSecrets:
    folder, docker = tmp_path / "secrets", tmp_path / "docker"
    folder.mkdir()
    docker.mkdir()
    (folder / "hub").write_text(VALUE)
    (docker / "hub").write_text(VALUE)
    (tmp_path / "outside").write_text(VALUE)
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "binary").write_bytes(b"\xff\xfe" + VALUE.encode())
    (folder / "large").write_bytes(b"x" * (SECRET_BYTES_MAX + 1))
    return MachineSecrets(
        environ={"PAI_SECRET_HUB": VALUE, "AWS_KEY": VALUE}, folder=folder, docker_folder=docker
    )


class Vault(ThreadingHTTPServer):
    """Vault's key-value store, version 2, as its HTTP API page describes it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _VaultRequest)
        self.kept: dict[str, Any] = {"/v1/secret/data/team/digits": {"value": VALUE, "port": 5432}}
        self.is_sealed = False
        self.namespaces: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _VaultRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Vault

    def do_GET(self) -> None:
        vault = self.server
        vault.namespaces.append(self.headers.get("X-Vault-Namespace"))
        if vault.is_sealed:
            return self.answer(503, {"errors": ["Vault is sealed"]})
        if self.headers.get("X-Vault-Token") != TOKEN:
            return self.answer(403, {"errors": ["permission denied"]})
        if self.path == "/v1/old/data/x":
            return self.answer(200, {"data": {"value": VALUE}})
        if self.path not in vault.kept:
            return self.answer(404, {"errors": []})
        data = {"data": vault.kept[self.path], "metadata": {"version": 3, "destroyed": False}}
        return self.answer(200, {"request_id": "1", "lease_duration": 0, "data": data})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def vault() -> Iterator[Vault]:
    server = Vault()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join(5)
    server.server_close()


def vault_secrets(vault: Vault, token: str = TOKEN) -> VaultSecrets:
    return VaultSecrets(url=vault.url, token=lambda: Secret(token), namespace="team-a")


@pytest.mark.parametrize(
    "reference",
    [
        SecretReference(env="PAI_SECRET_HUB"),
        SecretReference(file="hub"),
        SecretReference(docker="hub"),
    ],
    ids=lambda one: one.words,
)
def test_each_place_on_the_machine_is_read(
    machine: MachineSecrets, reference: SecretReference
) -> None:
    assert machine.read(reference).reveal() == VALUE


@pytest.mark.parametrize(
    "reference",
    [
        SecretReference(env="PAI_SECRET_NONE"),
        SecretReference(file="none"),
        SecretReference(file="../outside"),
        SecretReference(file="/etc/hostname"),
        SecretReference(file="link"),
        SecretReference(file="binary"),
        SecretReference(file="large"),
        SecretReference(docker="none"),
    ],
    ids=lambda one: one.words,
)
def test_what_may_not_be_read_is_named_by_its_reference_alone(
    machine: MachineSecrets, reference: SecretReference
) -> None:
    with pytest.raises(InvalidInput) as failure:
        machine.read(reference)
    assert reference.words in failure.value.message
    assert VALUE not in told(failure.value)


def test_vault_gives_the_newest_version_of_a_field(vault: Vault) -> None:
    secrets = vault_secrets(vault)
    assert secrets.read(SecretReference(vault="secret/team/digits")).reveal() == VALUE
    vault.kept["/v1/secret/data/team/digits"]["value"] = "rotated"
    assert secrets.read(SecretReference(vault="secret/team/digits")).reveal() == "rotated"
    assert vault.namespaces == ["team-a", "team-a"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (SecretReference(vault="secret/team/none"), "nothing there"),
        (SecretReference(vault="secret/team/digits", field="none"), "no text in field 'none'"),
        (SecretReference(vault="secret/team/digits", field="port"), "no text in field 'port'"),
        (SecretReference(vault="old/x"), "version 2"),
    ],
)
def test_what_vault_does_not_have_is_named(
    vault: Vault, reference: SecretReference, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as failure:
        vault_secrets(vault).read(reference)
    assert reference.words in failure.value.message
    assert VALUE not in told(failure.value)


@pytest.mark.parametrize("token", ["wrong-token", "broken\ntoken"])
def test_a_token_that_is_not_taken_is_not_told(vault: Vault, token: str) -> None:
    with pytest.raises(PlatformError) as failure:
        vault_secrets(vault, token).read(SecretReference(vault="secret/team/digits"))
    assert token not in told(failure.value)
    assert "broken" not in told(failure.value)


def test_a_sealed_or_absent_vault_may_come_back(vault: Vault) -> None:
    vault.is_sealed = True
    with pytest.raises(Unavailable, match="503"):
        vault_secrets(vault).read(SecretReference(vault="secret/team/digits"))
    gone = VaultSecrets(url="http://127.0.0.1:1", token=lambda: Secret(TOKEN))
    with pytest.raises(Unavailable, match="no answer from Vault"):
        gone.read(SecretReference(vault="secret/team/digits"))


def test_settings_name_vault_and_where_its_token_is(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings = load_settings(
        {}, home=tmp_path, vault_url=vault.url, vault_token=f"file:{tmp_path}/token"
    )
    found = open_secrets(settings).read(SecretReference(vault="secret/team/digits"))
    assert found.reveal() == VALUE
    lost = load_settings({}, home=tmp_path, vault_url=vault.url, vault_token="env:PAI_NO_SUCH")
    with pytest.raises(InvalidInput, match="env:PAI_NO_SUCH"):
        open_secrets(lost).read(SecretReference(vault="secret/team/digits"))


def test_without_a_vault_its_references_say_what_to_set(machine: MachineSecrets) -> None:
    with pytest.raises(InvalidInput) as failure:
        ReferencedSecrets(machine=machine).read(SecretReference(vault="secret/team/digits"))
    assert "vault_url" in failure.value.hint


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"env": "PAI_SECRET_A", "file": "a"},
        {"env": "HOME"},
        {"env": "PAI_TOKEN"},
        {"docker": "../etc/passwd"},
        {"vault": "secret/../sys/raw"},
        {"vault": "secret"},
    ],
)
def test_a_reference_is_one_place_that_specs_may_reach(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SecretReference(**values)


def told(error: PlatformError) -> str:
    """Return all that a log would tell of an error."""
    return "".join(traceback.format_exception(error)) + error.hint
