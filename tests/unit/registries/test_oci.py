"""The OCI distribution protocol: who is told what, what is believed, and how references read."""

import base64
import io
import json
import tarfile
from pathlib import Path

import httpx
import pytest

from prometheus_ai.adapters.registries.oci import (
    Layout,
    OciRegistry,
    attach,
    credentials_of,
    open_layout,
    pull,
    push,
    read_reference,
    signatures_of,
)
from prometheus_ai.adapters.registries.oci.credentials import Credentials
from prometheus_ai.adapters.registries.oci.media import digest_of, read_manifest
from prometheus_ai.adapters.signers.ecdsa import EcdsaSigner, PemKey, create_key
from prometheus_ai.domain.errors import Corrupted, InvalidInput, NotFound, Refused, Unavailable
from prometheus_ai.domain.secret import Secret

PASSWORD = "open sesame"
GIVEN = Credentials(user="ann", password=Secret(PASSWORD))
PLACE = read_reference("registry.example.org/team/digits:v1")


class Host:
    """An image registry in memory; the tests turn its habits."""

    def __init__(self, *, lists: bool = True, auth: str = "", elsewhere: str = "") -> None:
        self.lists, self.auth, self.elsewhere = lists, auth, elsewhere
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.heard: list[httpx.Request] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(request)
        if request.url.host == "auth.example.org":
            assert request.headers["authorization"].startswith("Basic ")
            return httpx.Response(200, json={"token": "short-lived"})
        if request.url.host == self.elsewhere:
            return httpx.Response(200, content=self.blobs[request.url.params["digest"]])
        if self.auth and "authorization" not in request.headers:
            return httpx.Response(401, headers={"www-authenticate": self.auth})
        kind, _, pointer = request.url.path.removeprefix("/v2/team/digits/").partition("/")
        return {"blobs": self._blob, "manifests": self._manifest, "referrers": self._list}[kind](
            request, pointer
        )

    def _blob(self, request: httpx.Request, pointer: str) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"location": "/v2/team/digits/blobs/uploads/1?a=b"})
        if request.method == "PUT":
            self.blobs[request.url.params["digest"]] = request.read()
            return httpx.Response(201)
        if pointer not in self.blobs:
            return httpx.Response(404)
        if self.elsewhere and request.method == "GET":
            where = f"https://{self.elsewhere}/?digest={pointer}"
            return httpx.Response(307, headers={"location": where})
        return httpx.Response(200, content=self.blobs[pointer])

    def _manifest(self, request: httpx.Request, pointer: str) -> httpx.Response:
        if request.method == "PUT":
            content = request.read()
            held = (content, request.headers["content-type"])
            self.manifests[pointer] = self.manifests[digest_of(content)] = held
            return httpx.Response(201, headers={"oci-subject": "x"} if self.lists else {})
        if pointer not in self.manifests:
            return httpx.Response(404)
        content, kind = self.manifests[pointer]
        return httpx.Response(200, content=content, headers={"content-type": kind})

    def _list(self, _request: httpx.Request, pointer: str) -> httpx.Response:
        if not self.lists:
            return httpx.Response(404)
        read = {digest: read_manifest(*held) for digest, held in self.manifests.items()}
        found = [
            one.described()
            for digest, one in read.items()
            if digest.startswith("sha256:")
            and one.fields.get("subject", {}).get("digest") == pointer
        ]
        return httpx.Response(200, json={"manifests": found})

    def open(self, credentials: Credentials | None = None) -> OciRegistry:
        return OciRegistry(PLACE, credentials, transport=httpx.MockTransport(self.answer))


def layout_in(folder: Path, content: bytes = b"layer") -> Layout:
    layout = Layout(folder)
    config = layout.put(b'{"os": "linux"}')
    layer, size = layout.put_file(io.BytesIO(content))
    fields = {
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "c", "digest": config, "size": 15},
        "layers": [{"mediaType": "l", "digest": layer, "size": size}],
    }  # fmt: skip
    layout.add(read_manifest(json.dumps(fields).encode(), ""), is_image=True)
    return layout


def silent(_line: str) -> None:
    pass


@pytest.mark.parametrize("lists", [True, False])
def test_an_image_travels_with_what_refers_to_it(lists: bool, tmp_path: Path) -> None:
    host = Host(lists=lists)
    signer = EcdsaSigner(PemKey(create_key(None)[0]))
    with host.open() as registry:
        image = push(registry, layout_in(tmp_path / "a"), "v1", silent)
        for one in signer.sign_image(PLACE.name, image.digest, len(image.content)):
            attach(registry, image.digest, one)
        bundles, older = signatures_of(registry, image.digest)
        assert (len(bundles), len(older)) == (1, 1)
        back = Layout(tmp_path / "b")
        assert pull(registry, "v1", back, silent).digest == image.digest
    referrer = back.referrers(image.digest)[0]
    assert referrer.fields["subject"]["size"] == len(image.content)
    assert (image.digest.replace(":", "-") in host.manifests) is not lists


def test_a_token_is_fetched_with_the_password_and_nothing_else_sees_it(tmp_path: Path) -> None:
    host = Host(auth='Bearer realm="https://auth.example.org/token",service="s",scope="x"')
    with host.open(GIVEN) as registry:
        push(registry, layout_in(tmp_path), "v1", silent)
    basic = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    told = {one.url.host for one in host.heard if basic in one.headers.get("authorization", "")}
    assert told == {"auth.example.org"}


def test_the_password_goes_to_no_host_over_plain_http() -> None:
    host = Host(auth='Bearer realm="http://auth.example.org/token"')
    with host.open(GIVEN) as registry, pytest.raises(Refused, match="plain HTTP"):
        registry.manifest("v1")


def test_another_host_that_keeps_blobs_gets_no_credentials(tmp_path: Path) -> None:
    host = Host(auth='Basic realm="x"', elsewhere="storage.example.net")
    with host.open(GIVEN) as registry:
        push(registry, layout_in(tmp_path / "a"), "v1", silent)
        pull(registry, "v1", Layout(tmp_path / "b"), silent)
    sent = [one for one in host.heard if one.url.host == "storage.example.net"]
    assert sent
    assert not any("authorization" in one.headers for one in sent)


def test_a_refusal_names_no_credential() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, headers={"www-authenticate": 'Basic realm="x"'})

    with (
        OciRegistry(PLACE, GIVEN, transport=httpx.MockTransport(refuse)) as registry,
        pytest.raises(Refused) as said,
    ):
        registry.manifest("v1")
    assert PASSWORD not in f"{said.value} {said.value.hint} {GIVEN!r}"


def test_bytes_that_are_not_what_was_asked_for_are_refused(tmp_path: Path) -> None:
    host = Host()
    with host.open() as registry:
        image = push(registry, layout_in(tmp_path / "a"), "v1", silent)
        layer = image.blobs[1][0]
        for damage in (b"LAYER", b"layer and more", b"lay"):
            host.blobs[layer] = damage
            back = Layout(tmp_path / damage.decode())
            with pytest.raises(Corrupted):
                pull(registry, "v1", back, silent)
            assert not back.new_path(layer).exists()
        host.manifests[image.digest] = (b'{"layers": []}', "")
        with pytest.raises(Corrupted):
            registry.manifest(image.digest)


def test_what_is_not_there_and_what_fails_are_told_apart() -> None:
    with Host().open() as registry, pytest.raises(NotFound):
        registry.manifest("v9")

    def break_down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with (
        OciRegistry(PLACE, None, transport=httpx.MockTransport(break_down)) as registry,
        pytest.raises(Unavailable, match="cannot be reached"),
    ):
        registry.manifest("v1")


@pytest.mark.parametrize(
    ("text", "url", "repository", "pointer"),
    [
        ("127.0.0.1:5000/digits:v1", "http://127.0.0.1:5000", "digits", "v1"),
        ("localhost:5000/a/b", "http://localhost:5000", "a/b", "latest"),
        ("[::1]:5000/digits", "http://[::1]:5000", "digits", "latest"),
        ("10.0.0.8:5000/digits", "https://10.0.0.8:5000", "digits", "latest"),
        ("ubuntu", "https://registry-1.docker.io", "library/ubuntu", "latest"),
        ("ann/app:2", "https://registry-1.docker.io", "ann/app", "2"),
        (f"ghcr.io/a/b:t@sha256:{'0' * 64}", "https://ghcr.io", "a/b", f"sha256:{'0' * 64}"),
    ],
)
def test_references_read_as_everywhere(text: str, url: str, repository: str, pointer: str) -> None:
    found = read_reference(text)
    assert (found.base_url, found.repository, found.pointer) == (url, repository, pointer)


@pytest.mark.parametrize("text", ["", "A/b", "h.io/a:b:c", "h.io/a@sha256:12", "h.io/../a", "a@"])
def test_what_names_no_image_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_reference(text)


def test_credentials_come_from_the_environment_or_from_docker_login(tmp_path: Path) -> None:
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert credentials_of("ghcr.io", environ) is None
    auth = base64.b64encode(b"bob:hunter2").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"ghcr.io": {"auth": auth}}}))
    found = credentials_of("ghcr.io", environ)
    assert found is not None
    assert (found.user, found.password.reveal()) == ("bob", "hunter2")
    assert credentials_of("quay.io", environ) is None
    named = credentials_of("quay.io", {"PAI_REGISTRY_USER": "ann", "PAI_REGISTRY_PASSWORD": "x"})
    assert named is not None
    assert named.user == "ann"
    (tmp_path / "config.json").write_text('{"auths": {"ghcr.io": {"auth": "hunter2 !"}}}')
    with pytest.raises(InvalidInput) as said:
        credentials_of("ghcr.io", environ)
    assert "hunter2" not in str(said.value)


def test_a_layout_is_written_whole_and_read_back_to_the_byte(tmp_path: Path) -> None:
    layout = layout_in(tmp_path / "a")
    layout.write(tmp_path / "image.tar", "x:y")
    with open_layout(tmp_path / "image.tar") as again, again.open(layout.image.blobs[1][0]) as file:
        assert again.image.digest == layout.image.digest
        assert file.read() == b"layer"
    with tarfile.open(tmp_path / "image.tar") as packed:
        told = json.load(packed.extractfile("manifest.json") or io.BytesIO())
    assert told[0]["Config"].startswith("blobs/sha256/")


def test_a_layout_with_one_altered_byte_is_refused(tmp_path: Path) -> None:
    layout = layout_in(tmp_path / "a", b"0123456789" * 100)
    layout.write(tmp_path / "image.tar")
    data = (tmp_path / "image.tar").read_bytes()
    (tmp_path / "image.tar").write_bytes(data.replace(b"012345", b"012346", 1))
    with pytest.raises(Corrupted), open_layout(tmp_path / "image.tar"):
        pass
