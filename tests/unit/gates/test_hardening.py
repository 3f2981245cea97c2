"""A container is hardened, or the spec says why not and the policy lets it."""

import pytest
from pydantic import ValidationError

from prometheus_ai.domain.gate import Evidence, Hardening, RuleOutcome
from prometheus_ai.domain.gate_policy import HardeningRule
from prometheus_ai.domain.image_spec import ContainerSpec
from prometheus_ai.gates.hardening import judge

REASON = "matplotlib writes beside its own files"
WRITABLE = Evidence(
    image="sha256:1",
    hardening=Hardening(
        user="10001", no_new_privileges=True, exceptions={"read_only_root": REASON}
    ),
)


def test_an_exception_needs_the_policys_leave() -> None:
    said = judge(WRITABLE, HardeningRule())
    assert said.outcome is RuleOutcome.REFUSE
    assert said.message == "its root file system can be written"
    assert "allow: [read_only_root]" in said.hint


def test_an_allowed_exception_passes_with_its_reason() -> None:
    said = judge(WRITABLE, HardeningRule(allow=("read_only_root",)))
    assert said.outcome is RuleOutcome.PASS
    assert REASON in said.evidence[0]


def test_leave_without_a_reason_is_none() -> None:
    unsaid = Evidence(image="sha256:1", hardening=Hardening(user="0", read_only_root=True))
    said = judge(unsaid, HardeningRule(allow=("user", "no_new_privileges")))
    assert said.outcome is RuleOutcome.REFUSE
    assert said.evidence == ("it runs as root", "it may gain privileges")


@pytest.mark.parametrize("field", ["tmp_noexec", "seccomp", "pids", "user"])
def test_what_no_image_tells_is_judged_by_the_spec(field: str) -> None:
    hardening = Hardening(
        user="10001", read_only_root=True, no_new_privileges=True, exceptions={field: "it must"}
    )
    said = judge(Evidence(image="sha256:1", hardening=hardening), HardeningRule())
    assert said.outcome is RuleOutcome.REFUSE


@pytest.mark.parametrize(
    "values",
    [
        {"read_only_root": False},
        {"read_only_root": False, "reasons": {"read_only_root": " "}},
        {"reasons": {"user": "I like zero"}},
        {"capabilities": ["SYS_NICE"], "reasons": {"capabilities": "it must"}},
        {"pids": 1000, "reasons": {"user": "it must"}},
    ],
)
def test_an_exception_has_its_own_reason(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ContainerSpec.model_validate(values)


def test_asking_for_less_is_no_exception() -> None:
    assert ContainerSpec(pids=64).exceptions == ()
