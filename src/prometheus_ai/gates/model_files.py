"""Gate: model files are scanned, and what they would run is allowed."""

from prometheus_ai.domain.gate import Candidate, Evidence, RuleResult
from prometheus_ai.domain.gate_policy import ModelFileRule
from prometheus_ai.gates.verdict import against, passed, skipped

RULE = "model-files"


def judge(candidate: Candidate, evidence: Evidence, rule: ModelFileRule) -> RuleResult:
    """Refuse what runs code unasked and what could not be read to the end."""
    if rule.mode == "off":
        return skipped(RULE, "the policy does not ask for a scan")
    scan = evidence.model
    if scan is None or scan.digest != candidate.model_digest:
        return against(RULE, rule.mode, "the model was not scanned", hint="deploy it again")
    facts = (
        f"{', '.join(scan.formats) or 'no known format'}: {scan.files} files, {scan.bytes_total} bytes",
        f"scanned by {scan.scanner}",
    )
    if not scan.is_clean:
        findings = tuple(
            f"{one.kind}: {one.file} {one.message}{f' at {one.where}' if one.where else ''}"
            for one in scan.findings
        ) or (f"{scan.bytes_total - scan.bytes_read} bytes were not understood",)
        first = scan.findings[0] if scan.findings else None
        hint = "do not load it; save the model as ONNX or skops"
        if first is not None and first.name and first.kind == "unsafe":
            hint += f", or, after reading its code, allow {first.name} under model_files.allow"
        return against(
            RULE, rule.mode, f"the model is not safe to load: {findings[0]}", findings + facts, hint
        )
    inside = tuple(one for one in evidence.image_models if not one.is_clean and one.runs_code)
    if inside:
        found = tuple(f"{one.file} {one.message}" for held in inside for one in held.findings)
        return against(
            RULE,
            rule.mode,
            f"the image holds a model that is not safe to load: {found[0]}",
            found + facts,
        )
    if scan.runs_code and rule.pickle == "never":
        return against(
            RULE, rule.mode, "the model is a pickle, which the policy never allows", facts,
            "save it as ONNX, skops or safetensors",
        )  # fmt: skip
    if scan.runs_code and not candidate.allow_pickle:
        return against(
            RULE, rule.mode, "the model is a pickle, and its spec does not say so", facts,
            "set model.allow_pickle: true if you trust who wrote it, or save it as ONNX or skops",
        )  # fmt: skip
    if scan.is_source and not rule.python:
        return against(
            RULE, rule.mode, "the model is Python source, which the policy excludes", facts
        )
    return passed(RULE, "every byte was understood, and no callable is unknown", facts)
