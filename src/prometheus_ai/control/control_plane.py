"""The control plane as the surfaces see it: one method a use case."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_ai.control import access, collect, delete, deploy, shift
from prometheus_ai.control.advise import recording, suggest
from prometheus_ai.control.answers.feedback import Taken, take_feedback
from prometheus_ai.control.autoscale import notice, scale
from prometheus_ai.control.bundles import export, take_in
from prometheus_ai.control.containers import images, targets, verification
from prometheus_ai.control.containers.export import compose_export
from prometheus_ai.control.containers.verification import ImageVerification
from prometheus_ai.control.gates import advisories, attest, changes, explain, signatures
from prometheus_ai.control.gates.admit import check_upload
from prometheus_ai.control.intake import spec_files, uploads
from prometheus_ai.control.intake.inputs import look_into
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker, DeployRequest
from prometheus_ai.control.rollouts.command import Commanded, command
from prometheus_ai.control.show import (
    audit_log,
    compliance,
    course,
    decided,
    events,
    logs,
    plans,
    series,
    status,
    why,
)
from prometheus_ai.control.show.views import (
    BackendDetail,
    EventView,
    PlatformStatus,
    ReleaseView,
    Why,
)
from prometheus_ai.domain.answers import Feedback
from prometheus_ai.domain.event import Role, Token
from prometheus_ai.domain.gate import AdvisoryData, SignatureCheck
from prometheus_ai.domain.image import BaseAdvice, BuildEvent, BuildPlan, BuildRecord
from prometheus_ai.domain.release import Artefact
from prometheus_ai.domain.spec import Spec
from prometheus_ai.domain.target import TargetRecord
from prometheus_ai.ports.driver import LogLine


class ControlPlane:
    """Every verb of the platform, for the API, the dashboard and tests alike."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    def status(self) -> PlatformStatus:
        """Describe the installation and every backend."""
        return status.status(self.plane)

    def backend(self, name: str) -> BackendDetail:
        """Describe one backend."""
        return status.backend_detail(self.plane, name)

    def releases(self, name: str) -> tuple[ReleaseView, ...]:
        """Describe every release of a backend, oldest first."""
        return status.releases(self.plane, name)

    def deploy(self, request: DeployRequest, asker: Asker) -> deploy.Deployed:
        """Make or find the release of a spec, and want traffic on it."""
        return deploy.deploy(self.plane, request, asker)

    def diff(self, request: DeployRequest) -> spec_files.SpecDiff:
        """Say what a deploy would change, without changing anything."""
        return spec_files.diff_spec(self.plane, request)

    def route(self, name: str, percent: Mapping[str, float], asker: Asker) -> shift.Shifted:
        """Want exactly these weights."""
        return shift.route(self.plane, name, percent, asker)

    def promote(self, name: str, version: str | None, asker: Asker) -> shift.Shifted:
        """Give all traffic to the newest or a named release."""
        return shift.promote(self.plane, name, version, asker)

    def rollback(self, name: str, version: str | None, asker: Asker) -> shift.Shifted:
        """Return all traffic to the stable, previous or a named release."""
        return shift.rollback(self.plane, name, version, asker)

    def rollout_command(self, name: str, word: str, asker: Asker) -> Commanded:
        """Pause, resume, skip a step of, promote, roll back or abort the rollout under way."""
        return command(self.plane, name, word, asker)

    def feedback(self, name: str, items: Sequence[Feedback]) -> Taken:
        """Judge answers by what people say of them."""
        return take_feedback(self.plane, name, items)

    def scale(self, name: str, replicas: int, version: str | None, asker: Asker) -> scale.Scaled:
        """Set replica counts."""
        return scale.scale(self.plane, name, replicas, version, asker)

    def delete(self, name: str, asker: Asker) -> None:
        """Begin to delete a backend."""
        delete.delete(self.plane, name, asker)

    def why(self, name: str) -> Why:
        """Explain one backend."""
        return why.why(self.plane, name)

    def plan(self, spec: Spec) -> plans.PlanView:
        """Return the schedule that a deploy of this spec would follow."""
        return plans.plan_for_spec(self.plane, spec)

    def plan_of(self, name: str) -> plans.PlanView:
        """Return the schedule of the rollout under way, or of deploying the newest spec once more."""
        return plans.plan_for_backend(self.plane, name)

    def course(self, name: str) -> course.Course:
        """Return the newest rollout of a backend with everything that a report is drawn from."""
        return course.course(self.plane, name)

    def series(self, name: str, span_s: float, points: int) -> tuple[series.Series, ...]:
        """Return what each release did lately, point by point."""
        return series.series(self.plane, name, span_s, points)

    def decisions(self, name: str, limit: int = 100) -> tuple[decided.DecisionView, ...]:
        """Return the newest decisions about a backend."""
        return decided.list_decisions(self.plane, name, limit)

    def decision(self, name: str, number: int) -> decided.DecisionDetail:
        """Return one decision with its inputs and its answer."""
        return decided.decision_detail(self.plane, name, number)

    def replay_decisions(self, name: str, number: int | None) -> tuple[decided.ReplayView, ...]:
        """Make decisions again from what they saw, and compare the answers."""
        return decided.replay_decisions(self.plane, name, number)

    def give_notice(self, replica_id: str, within_s: float, asker: Asker) -> notice.Noticed:
        """Say that a replica's machine goes away soon."""
        return notice.give_notice(self.plane, replica_id, within_s, asker)

    def suggest(self, name: str, version: str | None, terms: suggest.Terms) -> suggest.Suggested:
        """Suggest what a backend should be given, each with its risk."""
        return suggest.suggest(self.plane, name, version, terms)

    def recording(self, name: str, version: str | None) -> recording.Recording:
        """Return a backend's traffic and its measured replica, for the simulator."""
        return recording.recording(self.plane, name, version)

    def logs(
        self, name: str, *, replica: str | None = None, tail: int = 100, follow: bool = False
    ) -> Iterator[LogLine]:
        """Yield what replicas wrote."""
        return logs.logs(self.plane, name, replica=replica, tail=tail, follow=follow)

    def events(
        self, backend: str | None = None, *, after: int = 0, limit: int = 100
    ) -> tuple[EventView, ...]:
        """Return events from an index on, oldest first."""
        return events.events(self.plane, backend, after, limit)

    def recent_events(self, backend: str | None = None, count: int = 20) -> tuple[EventView, ...]:
        """Return the newest events."""
        return events.recent_events(self.plane, backend, count)

    def audit_verify(self, checkpoint: Mapping[str, Any] | None = None) -> audit_log.Verified:
        """Check the whole audit log."""
        return audit_log.verify_log(self.plane, checkpoint)

    def audit_export(self) -> Iterator[str]:
        """Yield the audit log as JSON lines that others can verify."""
        return audit_log.export_log(self.plane)

    def has_artefact(self, digest: str) -> bool:
        """Whether these bytes are stored."""
        return uploads.has_artefact(self.plane, digest)

    def put_artefact(self, chunks: Iterable[bytes], expected: str) -> str:
        """Store bytes."""
        return uploads.put_artefact(self.plane, chunks, expected)

    def put_tree(self, files: Mapping[str, str]) -> str:
        """Store a folder of stored files."""
        return uploads.put_tree(self.plane, files)

    def inspect(
        self, model: Artefact, engine: str | None, *, allow_pickle: bool
    ) -> Mapping[str, Any]:
        """Read what an uploaded model is."""
        check_upload(self.plane, model, allow_pickle=allow_pickle)
        return look_into(self.plane, model, engine, allow_pickle=allow_pickle)

    def add_target(self, record: TargetRecord, asker: Asker) -> targets.TargetView:
        """Add a place to run."""
        return targets.add_target(self.plane, record, asker)

    def remove_target(self, name: str, asker: Asker) -> None:
        """Forget a place that nothing runs on."""
        targets.remove_target(self.plane, name, asker)

    def list_targets(self) -> tuple[targets.TargetView, ...]:
        """Describe every place to run."""
        return targets.list_targets(self.plane)

    def plan_image(self, request: DeployRequest, target: str) -> BuildPlan:
        """Say what would be built for a spec, and why."""
        return images.plan_of(self.plane, request, target)

    def build_image(
        self,
        request: DeployRequest,
        target: str,
        asker: Asker,
        on_event: Callable[[BuildEvent], None] = images.ignore,
    ) -> BuildRecord:
        """Build the image that a deploy of a spec would run."""
        return images.build_of(self.plane, request, target, asker, on_event)

    def judge_bases(self, request: DeployRequest, target: str) -> BaseAdvice:
        """Compare base images for what a spec installs."""
        return images.bases_of(self.plane, request, target)

    def eject_image(self, request: DeployRequest, target: str) -> Mapping[str, str]:
        """Return the files from which the same image is built without the platform."""
        return images.eject_of(self.plane, request, target)

    def verify_image(self, name: str, version: str | None) -> ImageVerification:
        """Compare the image of a release with its record, and verify its signatures."""
        return verification.verify_release_image(self.plane, name, version)

    def image_history(self, name: str) -> tuple[BuildRecord, ...]:
        """Return the recorded builds of a backend."""
        return images.image_history(self.plane, name)

    def export_compose(self, name: str, version: str | None) -> Mapping[str, str]:
        """Return the files that run a release under Compose, without the platform."""
        return compose_export(self.plane, name, version)

    def explain_gate(self, name: str, version: str | None) -> explain.GateView:
        """Explain the latest decision of the gate about a backend."""
        return explain.explain(self.plane, name, version)

    def advisories(self) -> AdvisoryData:
        """Say what advisory data the gate judges by."""
        return advisories.status(self.plane)

    def import_advisories(self, digest: str, asker: Asker) -> AdvisoryData:
        """Take in an uploaded archive of advisories."""
        return advisories.import_upload(self.plane, digest, asker)

    def update_advisories(self, url: str, asker: Asker) -> AdvisoryData:
        """Download an archive of advisories and take it in."""
        return advisories.update(self.plane, url, asker)

    def add_signature(self, digest: str, bundle: bytes, asker: Asker) -> SignatureCheck:
        """Keep a signature over a model."""
        return signatures.add(self.plane, digest, bundle, asker)

    def statements(self, name: str, version: str | None) -> tuple[attest.Unsigned, ...]:
        """Return what can be said about a release, for its owner to sign."""
        return attest.statements(self.plane, name, version)

    def gate_changes(
        self, name: str, since: str | None, version: str | None
    ) -> changes.ChangesView:
        """Say what came and what went between two releases."""
        return changes.changes(self.plane, name, since, version)

    def compliance(self, name: str) -> compliance.Compliance:
        """Describe what runs, who approved it and which controls that meets, each with its proof."""
        return compliance.compliance(self.plane, name)

    def export_bundle(
        self, name: str, version: str | None, archives: tuple[Artefact, ...], asker: Asker
    ) -> export.Exported:
        """Write a release to a bundle for a site without a network."""
        return export.export(self.plane, name, version, archives, asker)

    def import_bundle(self, bundle: Artefact, asker: Asker, *, unsealed: bool) -> take_in.Imported:
        """Make a release of a bundle."""
        return take_in.take_in(self.plane, bundle, asker, unsealed=unsealed)

    def read_artefact(self, digest: str) -> Iterator[bytes]:
        """Yield stored bytes."""
        return self.plane.artefacts.read(digest)

    def create_token(self, name: str, role: str, asker: Asker) -> access.NewToken:
        """Make an API token; its secret is shown once."""
        return access.create_token(self.plane, name, role, asker)

    def list_tokens(self) -> tuple[access.TokenView, ...]:
        """Return all tokens without secrets."""
        return access.list_tokens(self.plane)

    def revoke_token(self, token_id: str, asker: Asker) -> access.TokenView:
        """Revoke a token."""
        return access.revoke_token(self.plane, token_id, asker)

    def authenticate(self, secret: str) -> Token:
        """Return the token with this secret."""
        return access.authenticate(self.plane, secret)

    def authorise(self, token: Token, needed: Role) -> None:
        """Check what a token may do."""
        access.authorise(token, needed)

    def collect(self, *, dry_run: bool, asker: Asker) -> collect.Collected:
        """Remove artefacts and environments that no release names."""
        return collect.collect(self.plane, dry_run=dry_run, asker=asker)
