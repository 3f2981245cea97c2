"""What a release meets of common controls, and by which proof: CIS Docker, NIST SSDF, SLSA."""

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_ai.domain.gate import Evidence, GateReport, RuleOutcome, SignatureCheck
from prometheus_ai.gates.attestations import PREDICATES
from prometheus_ai.gates.signatures import IMAGE_PREDICATE, MODEL_PREDICATE

MET, PARTLY, NOT_MET, DOES_NOT_APPLY = "met", "partly", "not met", "does not apply"
CIS, SSDF, SLSA = "CIS Docker 1.6", "NIST SSDF 1.1 (SP 800-218)", "SLSA 1.0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is known of a release, with the digests by which others find the proof."""

    evidence: Evidence
    report: GateReport
    document: str
    """Digest of the decision's record."""
    model: str
    lock: str
    records: tuple[int, ...]
    """Records of the audit log that are about this release."""
    is_container: bool
    replays: bool
    """Whether deciding again from the record gives the recorded answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """One control, and what there is to show for it."""

    framework: str
    id: str
    title: str
    state: str
    """``met``, ``partly``, ``not met`` or ``does not apply``."""
    why: str
    proofs: tuple[str, ...]
    """Digests, and records of the audit log."""


Answer = tuple[str, str, tuple[str, ...]]
_Check = Callable[[Facts], Answer]


def controls(facts: Facts) -> tuple[Control, ...]:
    """Hold a release against every control."""
    found = []
    for framework, number, title, check in _CONTROLS:
        state, why, proofs = check(facts)
        found.append(
            Control(
                framework=framework, id=number, title=title, state=state, why=why,
                proofs=tuple(one for one in proofs if one),
            )
        )  # fmt: skip
    return tuple(found)


def _rule(name: str, *, container: bool = False) -> _Check:
    """Return a check that says what a rule of the gate said."""

    def check(facts: Facts) -> Answer:
        if container and not facts.is_container:
            return DOES_NOT_APPLY, "its target runs processes, not containers", ()
        found = next((one for one in facts.report.results if one.rule == name), None)
        if found is None or found.outcome is RuleOutcome.SKIP:
            return NOT_MET, found.message if found else "the policy does not ask", ()
        proofs = (f"decision {facts.document}", f"policy {facts.report.policy_digest}")
        state = {RuleOutcome.PASS: MET, RuleOutcome.WARN: PARTLY}.get(found.outcome, NOT_MET)
        return state, found.message, proofs

    return check


def _hardening(words: Callable[[Facts], tuple[bool, str]]) -> _Check:
    def check(facts: Facts) -> Answer:
        if not facts.is_container:
            return DOES_NOT_APPLY, "its target runs processes, not containers", ()
        if facts.evidence.hardening is None:
            return NOT_MET, "it is not known how the container runs", ()
        is_met, why = words(facts)
        return MET if is_met else NOT_MET, why, (f"decision {facts.document}",)

    return check


def _user(facts: Facts) -> tuple[bool, str]:
    user = facts.evidence.hardening.user.partition(":")[0] if facts.evidence.hardening else ""
    return user.isdigit() and user != "0", f"it runs as user {user or 'root'}"


def _capabilities(facts: Facts) -> tuple[bool, str]:
    held = facts.evidence.hardening.capabilities if facts.evidence.hardening else ()
    return not held, f"it keeps {', '.join(held)}" if held else "all capabilities are dropped"


def _root(facts: Facts) -> tuple[bool, str]:
    is_read_only = bool(facts.evidence.hardening and facts.evidence.hardening.read_only_root)
    return is_read_only, f"its root file system is {'read-only' if is_read_only else 'writable'}"


def _privileges(facts: Facts) -> tuple[bool, str]:
    is_set = bool(facts.evidence.hardening and facts.evidence.hardening.no_new_privileges)
    return is_set, f"no-new-privileges is {'set' if is_set else 'not set'}"


def _pinned(facts: Facts) -> Answer:
    return MET, "every package is installed from a lock with digests", (f"lock {facts.lock}",)


def _archived(facts: Facts) -> Answer:
    return (
        MET, "model and lock are kept by digest, and releases are never edited",
        (f"model {facts.model}", f"lock {facts.lock}", _log(facts)),
    )  # fmt: skip


def _integrity(facts: Facts) -> Answer:
    checks = (*facts.evidence.model_signatures, *facts.evidence.image_signatures)
    wanted = (MODEL_PREDICATE, IMAGE_PREDICATE)
    signed = [one for one in checks if _holds(one) and one.predicate in wanted]
    if not signed:
        return NOT_MET, "nobody signed the model or the image", ()
    keys = ", ".join(dict.fromkeys(one.key for one in signed))
    return MET, f"signed by {keys}", tuple(f"{one.key} over {one.subject}" for one in signed)


def _provenance(facts: Facts) -> Answer:
    signed = _attested(facts, "provenance", "sbom")
    if len({one.predicate for one in signed}) == 2:
        return MET, "provenance and list of packages are signed", _subjects(signed)
    return (
        PARTLY,
        "they are kept, and not signed: `pai gate attest`",
        (f"decision {facts.document}",),
    )


def _criteria(facts: Facts) -> Answer:
    said = "and the decision replays" if facts.replays else "and the decision does not replay"
    return (
        MET if facts.replays else PARTLY,
        f"section {facts.report.section!r} of the policy decided, {said}",
        (f"policy {facts.report.policy_digest}", f"decision {facts.document}"),
    )


def _watched(facts: Facts) -> Answer:
    data = facts.evidence.advisories
    if not data.digest:
        return NOT_MET, "there is no advisory database", ()
    return (
        MET, f"judged by {data.advisories} advisories, and again whenever they change",
        (f"advisories {data.digest}",),
    )  # fmt: skip


def _respond(facts: Facts) -> Answer:
    found = next((one for one in facts.report.results if one.rule == "vulnerabilities"), None)
    if found is None or facts.evidence.vulnerabilities is None:
        return NOT_MET, "packages were not compared with advisories", ()
    excused = tuple(line for line in found.evidence if "accepted by" in line or "VEX:" in line)
    if found.outcome is RuleOutcome.PASS:
        said = f"{len(excused)} accepted with owner and date" if excused else "none is open"
        return MET, said, (f"decision {facts.document}", *excused)
    return PARTLY, found.message, (f"decision {facts.document}",)


def _traced(facts: Facts) -> Answer:
    if not facts.records:
        return NOT_MET, "there is no record of it", ()
    return MET, f"{len(facts.records)} records name actor and reason", (_log(facts),)


def _slsa(facts: Facts) -> Answer:
    signed = _attested(facts, "provenance")
    if signed:
        return MET, "provenance exists and is signed", _subjects(signed)
    return NOT_MET, "provenance is not signed and given away: `pai gate attest`", ()


def _slsa_hosted(_facts: Facts) -> Answer:
    return NOT_MET, "the owner's key signs, not a hosted build platform's", ()


def _attested(facts: Facts, *kinds: str) -> tuple[SignatureCheck, ...]:
    wanted = {PREDICATES[kind] for kind in kinds}
    return tuple(
        one for one in facts.evidence.attestations if _holds(one) and one.predicate in wanted
    )


def _holds(one: SignatureCheck) -> bool:
    return bool(one.key) and not one.problem


def _subjects(checks: tuple[SignatureCheck, ...]) -> tuple[str, ...]:
    return tuple(f"{one.key}: {one.predicate} over {one.subject}" for one in checks)


def _log(facts: Facts) -> str:
    shown = ", ".join(map(str, facts.records[:12]))
    more = f" and {len(facts.records) - 12} more" if len(facts.records) > 12 else ""
    return f"audit records {shown}{more}" if facts.records else ""


# Numbers and meanings as in CIS Docker Benchmark 1.6.0, SP 800-218 of February 2022 and SLSA 1.0. CIS 4.5 asks for
# Docker's own content trust, which is not what verifies signatures here: 4.12 is what that meets.
_CONTROLS: tuple[tuple[str, str, str, _Check], ...] = (
    (CIS, "4.1", "A user for the container has been created", _hardening(_user)),
    (CIS, "4.4", "Images are scanned and rebuilt for security patches", _rule("vulnerabilities")),
    (CIS, "4.10", "Secrets are not stored in images", _rule("secrets", container=True)),
    (CIS, "4.11", "Only verified packages are installed", _pinned),
    (CIS, "4.12", "Signed artefacts are validated", _rule("image-signature", container=True)),
    (CIS, "5.4", "Kernel capabilities are restricted", _hardening(_capabilities)),
    (CIS, "5.13", "The root file system is read-only", _hardening(_root)),
    (CIS, "5.26", "No additional privileges are acquired", _hardening(_privileges)),
    (SSDF, "PO.4", "Criteria for security checks are defined and used", _criteria),
    (SSDF, "PS.2.1", "Release integrity can be verified", _integrity),
    (SSDF, "PS.3.1", "Each release is archived and protected", _archived),
    (SSDF, "PS.3.2", "Provenance of all components is collected and shared", _provenance),
    (SSDF, "PW.4.1", "Every component that it is made of is known", _rule("sbom")),
    (SSDF, "PW.4.4", "Acquired components are verified", _rule("model-files")),
    (SSDF, "PO.3.3", "Tools leave artefacts of their practice: who did what, and why", _traced),
    (SSDF, "RV.1.1", "New weaknesses are looked for as long as it runs", _watched),
    (SSDF, "RV.2.2", "Weaknesses are remedied, or accepted by an owner until a date", _respond),
    (SLSA, "Build L1", "Provenance shows how it was built", _slsa),
    (SLSA, "Build L2", "A hosted platform generates and signs provenance", _slsa_hosted),
)
