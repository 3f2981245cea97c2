"""Gates: signatures over the model and over the image, by keys that the policy names."""

from prometheus_ai.domain.gate import Candidate, Evidence, RuleResult, SignatureCheck
from prometheus_ai.domain.gate_policy import SignatureRule
from prometheus_ai.gates.verdict import NO_IMAGE, against, passed, skipped

MODEL_RULE = "model-signature"
IMAGE_RULE = "image-signature"
# Only these predicates say "somebody approves of it"; a signed list of packages does not.
MODEL_PREDICATE = "https://model_signing/signature/v1.0"
IMAGE_PREDICATE = "https://sigstore.dev/cosign/sign/v1"
SEAL_PREDICATE = "urn:prometheus-ai:bundle:v1"
"""Says of the list of a bundle's parts that it is whole; it approves of nothing."""


def judge_model(candidate: Candidate, evidence: Evidence, rule: SignatureRule) -> RuleResult:
    """Demand signatures over the model's digest."""
    checks = evidence.model_signatures
    return _judge(MODEL_RULE, rule, checks, candidate.model_digest, MODEL_PREDICATE)


def judge_image(evidence: Evidence, rule: SignatureRule) -> RuleResult:
    """Demand signatures over the image's digest, where there is an image."""
    if not evidence.image:
        return skipped(IMAGE_RULE, NO_IMAGE)
    return _judge(IMAGE_RULE, rule, evidence.image_signatures, evidence.image, IMAGE_PREDICATE)


def _judge(
    name: str, rule: SignatureRule, checks: tuple[SignatureCheck, ...], subject: str, predicate: str
) -> RuleResult:
    if rule.mode == "off":
        return skipped(name, "the policy does not ask for a signature")
    signed = {
        check.key
        for check in checks
        if check.key
        and not check.problem
        and check.subject == subject
        and check.predicate == predicate
        and (not rule.keys or check.key in rule.keys)
    }
    facts = tuple(
        f"{check.key or 'unknown key'}: {check.problem or check.predicate} over {check.subject}"
        for check in checks
    )
    if len(signed) >= rule.count:
        return passed(name, f"signed by {', '.join(sorted(signed))}", facts)
    wanted = ", ".join(rule.keys) or "a key of the policy"
    message = f"{len(signed)} of {rule.count} signatures by {wanted} over {subject}"
    command = "pai model sign NAME" if name == MODEL_RULE else "pai model sign NAME --image"
    hint = f"sign it with `{command}`, or correct the policy's keys"
    return against(name, rule.mode, message, facts, hint)
