"""The client class."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from prometheus_ai.client.advice import AdviceCalls
from prometheus_ai.client.credentials import find_credentials
from prometheus_ai.client.deploying import (
    SpecFile,
    bring_inputs,
    ejected,
    placing,
    read_spec_file,
)
from prometheus_ai.client.faults import fault
from prometheus_ai.client.prediction import Prediction
from prometheus_ai.client.progress import Goal, wait_until_served
from prometheus_ai.client.records import Record, Records, record, records
from prometheus_ai.client.rollouts import RolloutCalls
from prometheus_ai.client.supply import SupplyCalls
from prometheus_ai.client.tensors import infer_body, nested_data
from prometheus_ai.client.uploads import Say, upload
from prometheus_ai.client.wire import Wire
from prometheus_ai.domain.errors import Unavailable

DEPLOY_TIMEOUT_S = 900.0
"""A deploy may download the model and resolve its requirements before it answers."""
BUILD_TIMEOUT_S = 3600.0
WAIT_TIMEOUT_S = 900.0
PREDICT_TIMEOUT_S = 60.0
VERIFY_TIMEOUT_S = 600.0

_NO_SERVER = "start the platform with `pai up`; `pai doctor` says what is wrong"
_NO_GATEWAY = "the gateway is part of `pai up`; `pai doctor` says what is wrong"


def _silent(_line: str) -> None:
    pass


class Client(SupplyCalls, RolloutCalls, AdviceCalls):
    """The platform's verbs.

    Without arguments it uses ``PAI_URL`` and ``PAI_TOKEN``, then the credentials that ``pai up`` left in
    the home folder. One client may be used from several threads. Every method has a bound on its wait and
    raises the platform's errors (``prometheus_ai.domain.errors``), each with a hint at what to do.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        home: Path | str | None = None,
    ) -> None:
        credentials = find_credentials(url, token, home)
        self.url = credentials.url
        self._wire = Wire(
            credentials.url,
            headers={"authorization": f"Bearer {credentials.token}"},
            hint=_NO_SERVER,
        )
        self._gateway: Wire | None = None
        self._metadata: dict[tuple[str, str | None], tuple[str, Mapping[str, Any]]] = {}

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close this thread's connections."""
        self._wire.close()
        if self._gateway is not None:
            self._gateway.close()

    def version(self) -> Record:
        """Return the control plane's version."""
        return self._get("/api/v1/version")

    def status(self, name: str | None = None) -> Record:
        """Describe the installation and every backend, or one backend as ``backend`` does."""
        return self._get("/api/v1/status") if name is None else self.backend(name)

    def backend(self, name: str) -> Record:
        """Describe one backend: summary, living releases, replicas, work under way."""
        return self._get(_backend(name))

    def releases(self, name: str) -> Records:
        """Return every release of a backend, oldest first."""
        return records(self._wire.ask("GET", f"{_backend(name)}/releases").json())

    def check(self, spec: Path | str | Mapping[str, Any]) -> Record:
        """Return a spec with its defaults, or raise InvalidSpec with every problem."""
        return record(self._spec_file(spec).spec)

    def diff(self, spec: Path | str | Mapping[str, Any]) -> Record:
        """Say what deploying a spec would change, without changing anything."""
        file = self._spec_file(spec)
        body = bring_inputs(self._wire, file, _silent, dry_run=True)
        with placing(file):
            return self._post("/api/v1/diffs", body)

    def deploy(
        self,
        spec: Path | str | Mapping[str, Any],
        *,
        wait: bool | float = True,
        weight: int | None = None,
        relock: bool = False,
        reason: str = "",
        on_progress: Say = _silent,
    ) -> Record:
        """Make a release of a spec (a path to ``pai.yaml``, or its values) and give it traffic.

        With values, paths in them count from the current folder. ``weight`` is percent of traffic.
        With ``wait`` it returns once the release is served; a number bounds that in seconds.
        ``on_progress`` gets one line for each step; ``relock`` resolves requirements anew.

        Raises:
            InvalidSpec: with every problem of the spec.
            Conflict: the release failed while it was waited for.
            NotReady: the bound is over; the deploy goes on.
        """
        file = self._spec_file(spec)
        body = bring_inputs(self._wire, file, on_progress)
        body |= {"weight": weight, "relock": relock, "reason": reason}
        on_progress("pinning model and requirements")
        with placing(file):
            answer = self._wire.ask(
                "POST", "/api/v1/deploys", body=body, timeout_s=DEPLOY_TIMEOUT_S
            )
        deployed = record(answer.json())
        if wait:
            goal = Goal(backend=deployed.backend, version=deployed.version, is_new=deployed.is_new)
            timeout_s = WAIT_TIMEOUT_S if wait is True else float(wait)
            wait_until_served(lambda: self.backend(goal.backend), goal, on_progress, timeout_s)
        return deployed

    def predict(
        self,
        name: str,
        data: Any,
        *,
        version: str | None = None,
        timeout_s: float = PREDICT_TIMEOUT_S,
    ) -> Prediction:
        """Ask a model through the gateway.

        ``data`` is rows (nested lists), an array, or a mapping of input name to either.
        ``version`` forces a release past the route's weights.
        """
        gateway = self._gateway_wire()
        release, metadata = self._model_metadata(gateway, name, version, timeout_s)
        body = infer_body(data, metadata)
        path = f"{_model(name, version)}/infer"
        started = time.perf_counter()
        answer = gateway.ask("POST", path, body=body, timeout_s=timeout_s)
        latency_ms = (time.perf_counter() - started) * 1000
        served = answer.headers.get("x-pai-release", release)
        if version is None and served != release:
            # Another release answered: its signature may differ, so the next request asks again.
            self._metadata.pop((name, version), None)
        outputs = {one["name"]: nested_data(one) for one in answer.json().get("outputs", [])}
        return Prediction(
            outputs=outputs,
            release=served,
            latency_ms=latency_ms,
            server=_server_numbers(answer.headers),
            request_id=answer.headers.get("x-request-id", ""),
        )

    def route(self, name: str, weights: Mapping[str, float], *, reason: str = "") -> Record:
        """Split traffic: percent by version, summing to 100."""
        body = {"weights": dict(weights), "reason": reason}
        return self._put(f"{_backend(name)}/route", body)

    def promote(self, name: str, version: str | None = None, *, reason: str = "") -> Record:
        """Give all traffic to a version, by default the newest."""
        return self._post(f"{_backend(name)}/promote", {"version": version, "reason": reason})

    def rollback(self, name: str, to: str | None = None, *, reason: str = "") -> Record:
        """Return all traffic to the version before, or to a named one."""
        return self._post(f"{_backend(name)}/rollback", {"version": to, "reason": reason})

    def rollout(self, name: str, command: str, *, reason: str = "") -> Record:
        """Pause, resume, skip, promote, rollback or abort the rollout under way."""
        return self._post(f"{_backend(name)}/rollout", {"command": command, "reason": reason})

    def scale(
        self, name: str, replicas: int, *, version: str | None = None, reason: str = ""
    ) -> Record:
        """Set how many replicas each release with traffic has, or one named release."""
        body = {"replicas": replicas, "version": version, "reason": reason}
        return self._put(f"{_backend(name)}/replicas", body)

    def delete(self, name: str, *, reason: str = "") -> Record:
        """Begin to delete a backend: its replicas drain, its events stay."""
        answer = self._wire.ask("DELETE", _backend(name), query={"reason": reason or None})
        return record(answer.json())

    def why(self, name: str) -> Record:
        """Explain what runs, what is wanted, why they differ and what happens next."""
        return self._get(f"{_backend(name)}/why")

    def logs(
        self, name: str, *, replica: str | None = None, tail: int = 100, follow: bool = False
    ) -> Iterator[Record]:
        """Yield what replicas wrote, oldest first; with ``follow``, until you stop."""
        path, query = f"{_backend(name)}/logs", {"replica": replica, "tail": tail}
        if follow:
            return self._follow(f"{path}/stream", query)
        return iter(records(self._wire.ask("GET", path, query=query).json()))

    def events(
        self, name: str | None = None, *, after: int | None = None, limit: int = 20
    ) -> Records:
        """Return the newest audited events, or those from index ``after`` on; oldest first."""
        query = {"backend": name, "after": after, "limit": limit}
        return records(self._wire.ask("GET", "/api/v1/events", query=query).json())

    def follow_events(self, name: str | None = None) -> Iterator[Record]:
        """Yield events as they happen, until you stop."""
        return self._follow("/api/v1/events/stream", {"backend": name})

    def audit_verify(self, checkpoint: Mapping[str, Any] | None = None) -> Record:
        """Check the whole audit log, and that it still contains an earlier checkpoint."""
        answer = self._wire.ask(
            "POST",
            "/api/v1/audit/verify",
            body={"checkpoint": checkpoint},
            timeout_s=VERIFY_TIMEOUT_S,
        )
        return record(answer.json())

    def audit_export(self) -> Iterator[str]:
        """Yield the audit log, one JSON object a line."""
        return self._wire.lines("/api/v1/audit/records")

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of specs."""
        return dict(self._get("/api/v1/schema"))

    def inspect(
        self, path: Path | str, *, engine: str | None = None, allow_pickle: bool = False
    ) -> Record:
        """Upload a model and say what it is: engine, inputs and outputs."""
        found = Path(path)
        body = bring_inputs(
            self._wire, SpecFile(spec={"model": {"path": found.name}}, folder=found.parent), _silent
        )
        body |= {"engine": engine, "allow_pickle": allow_pickle}
        del body["spec"]
        answer = self._wire.ask(
            "POST", "/api/v1/inspections", body=body, timeout_s=DEPLOY_TIMEOUT_S
        )
        return record(answer.json())

    def targets(self) -> Records:
        """Describe every place to run, and whether it can be used now."""
        return records(self._wire.ask("GET", "/api/v1/targets").json())

    def add_target(self, name: str, url: str | None = None, **options: Any) -> Record:
        """Add a Docker Engine; options are those of ``POST /api/v1/targets``."""
        body = {"name": name, **({"url": url} if url else {}), **options}
        answer = self._wire.ask("POST", "/api/v1/targets", body=body, timeout_s=DEPLOY_TIMEOUT_S)
        return record(answer.json())

    def remove_target(self, name: str) -> None:
        """Forget a target that nothing runs on."""
        self._wire.ask("DELETE", f"/api/v1/targets/{quote(name, safe='')}")

    def image_plan(self, spec: Path | str | Mapping[str, Any], *, target: str = "docker") -> Record:
        """Say what would be built for a spec, and why."""
        return record(self._about_image("/api/v1/images/plans", spec, target))

    def image_bases(
        self, spec: Path | str | Mapping[str, Any], *, target: str = "docker"
    ) -> Record:
        """Compare slim, full and alpine for the packages of a spec."""
        return record(self._about_image("/api/v1/images/bases", spec, target))

    def image_build(
        self,
        spec: Path | str | Mapping[str, Any],
        *,
        target: str = "docker",
        on_progress: Say = _silent,
        on_event: Callable[[Record], None] | None = None,
    ) -> Record:
        """Build the image that a deploy of a spec would run; returns how the build went.

        ``on_event`` hears of steps, bytes and what the cache had as they happen; ``on_progress`` gets them as lines.
        """
        body = bring_inputs(self._wire, self._spec_file(spec), on_progress)
        on_progress(f"asking target {target}")
        for line in self._wire.lines("/api/v1/images/live", {"target": target}, body=body):
            said = json.loads(line) if line else {}
            if "event" in said:
                if said["event"]["kind"] != "words":
                    on_progress(said["event"]["line"])
                if on_event is not None:
                    on_event(record(said["event"]))
            elif "built" in said:
                return record(said["built"])
            elif "error" in said:
                raise fault(int(said["status"]), line.encode())
        raise Unavailable(
            "the control plane ended in the middle of the build",
            hint="`pai image history` shows it",
        )

    def image_eject(
        self, spec: Path | str | Mapping[str, Any], *, target: str = "docker"
    ) -> dict[str, bytes | Path]:
        """Return the files, by path, from which the same image is built without the platform.

        What is given as a path is the model: a file or folder of yours, to be copied there.
        """
        return ejected(
            self._about_image("/api/v1/images/ejections", spec, target), self._spec_file(spec)
        )

    def image_verification(self, name: str, version: str | None = None) -> Record:
        """Compare the image of a release with its record, and verify its signatures."""
        path = f"{_backend(name)}/image-verification"
        return record(self._wire.ask("GET", path, query={"version": version}).json())

    def image_history(self, name: str) -> Records:
        """Return the recorded builds of a backend, oldest first."""
        return records(self._wire.ask("GET", f"{_backend(name)}/images").json())

    def export_compose(self, name: str, version: str | None = None) -> dict[str, str]:
        """Return the files, by name, that run a release under Compose without the platform."""
        path = f"{_backend(name)}/exports/compose"
        return dict(self._wire.ask("GET", path, query={"version": version}).json())

    def gate(self, name: str, version: str | None = None) -> Record:
        """Explain the gate's latest decision about a backend, or about one version."""
        return record(
            self._wire.ask("GET", f"{_backend(name)}/gate", query={"version": version}).json()
        )

    def advisories(self) -> Record:
        """Say what advisory data the gate judges by."""
        return self._get("/api/v1/advisories")

    def import_advisories(self, path: Path | str, on_progress: Say = _silent) -> Record:
        """Upload an OSV archive or a catalogue of exploited weaknesses, and judge by it."""
        found = upload(self._wire, Path(), str(path), on_progress)
        return self._long("/api/v1/advisories/imports", {"digest": found.digest})

    def update_advisories(self, url: str) -> Record:
        """Let the control plane download an archive, and judge by it."""
        return self._long("/api/v1/advisories/updates", {"url": url})

    def add_signature(self, digest: str, bundle: str) -> Record:
        """Keep a signature (a Sigstore bundle) over a model's digest."""
        return self._post("/api/v1/signatures", {"digest": digest, "bundle": bundle})

    def feedback(self, name: str, items: Sequence[Mapping[str, Any]]) -> Record:
        """Say whether answers were right: each item has ``request_id``, and ``label`` or ``score``."""
        return self._post(f"{_backend(name)}/feedback", {"items": [dict(item) for item in items]})

    def create_token(self, name: str, role: str) -> Record:
        """Make an API token with a role (viewer, deployer, admin); its secret is shown once."""
        return self._post("/api/v1/tokens", {"name": name, "role": role})

    def tokens(self) -> Records:
        """Return all tokens, without their secrets."""
        return records(self._wire.ask("GET", "/api/v1/tokens").json())

    def revoke_token(self, token_id: str) -> Record:
        """Make a token useless at once."""
        answer = self._wire.ask("DELETE", f"/api/v1/tokens/{quote(token_id, safe='')}")
        return record(answer.json())

    def collect(self, *, dry_run: bool = False) -> Record:
        """Remove artefacts and environments that no release needs."""
        return self._post("/api/v1/collections", {"dry_run": dry_run})

    def _spec_file(self, spec: Path | str | Mapping[str, Any]) -> SpecFile:
        return read_spec_file(self._wire, spec)

    def _gateway_wire(self) -> Wire:
        if self._gateway is None:
            self._gateway = Wire(str(self.version().gateway_url), hint=_NO_GATEWAY)
        return self._gateway

    def _model_metadata(
        self, gateway: Wire, name: str, version: str | None, timeout_s: float
    ) -> tuple[str, Mapping[str, Any]]:
        key = (name, version)
        if key not in self._metadata:
            answer = gateway.ask("GET", _model(name, version), timeout_s=timeout_s)
            self._metadata[key] = answer.headers.get("x-pai-release", ""), answer.json()
        return self._metadata[key]

    def _about_image(
        self,
        path: str,
        spec: Path | str | Mapping[str, Any],
        target: str,
        say: Say = _silent,
    ) -> Any:
        file = self._spec_file(spec)
        body = bring_inputs(self._wire, file, say)
        say(f"asking target {target}")
        with placing(file):
            answer = self._wire.ask(
                "POST", path, body=body, query={"target": target}, timeout_s=BUILD_TIMEOUT_S
            )
        return answer.json()

    def _follow(self, path: str, query: Mapping[str, Any]) -> Iterator[Record]:
        for line in self._wire.lines(path, query):
            if line.startswith("data:"):
                yield record(json.loads(line.removeprefix("data:")))

    def _get(self, path: str) -> Record:
        return record(self._wire.ask("GET", path).json())

    def _long(self, path: str, body: Mapping[str, Any]) -> Record:
        answer = self._wire.ask("POST", path, body=body, timeout_s=DEPLOY_TIMEOUT_S)
        return record(answer.json())

    def _post(self, path: str, body: Mapping[str, Any]) -> Record:
        return record(self._wire.ask("POST", path, body=body).json())

    def _put(self, path: str, body: Mapping[str, Any]) -> Record:
        return record(self._wire.ask("PUT", path, body=body).json())


def _backend(name: str) -> str:
    return f"/api/v1/backends/{quote(name, safe='')}"


def _model(name: str, version: str | None) -> str:
    path = f"/v2/models/{quote(name, safe='')}"
    return path if version is None else f"{path}/versions/{quote(version, safe='')}"


def _server_numbers(headers: Mapping[str, str]) -> dict[str, float]:
    names = ("queue-us", "compute-us", "batch-rows", "throttled-us")
    found = {name.replace("-", "_"): headers.get(f"x-pai-{name}", "") for name in names}
    return {name: float(text) for name, text in found.items() if text.isdigit()}
