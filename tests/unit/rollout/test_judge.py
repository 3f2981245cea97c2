"""From gates to a verdict."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from prometheus_ai.domain.evidence import (
    Attribution,
    Comparison,
    FaultOwner,
    GateResult,
    Outcome,
)
from prometheus_ai.domain.policy import AgreementGate, GatesSpec, RolloutSpec
from prometheus_ai.rollout import judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = RolloutSpec()


def gate(name: str, outcome: Outcome, **values: object) -> GateResult:
    given = GateResult(
        gate=name, outcome=outcome, candidate=0.0, candidate_low=0.0, candidate_high=0.1,
        baseline=0.0, candidate_count=100, baseline_count=900, harm=0.0, safety=0.0,
        requests_to_decide=None, decide_in_s=None, detail="numbers",
    )  # fmt: skip
    return replace(given, **values)  # type: ignore[arg-type]


def comparison(*gates: GateResult, **values: object) -> Comparison:
    given = Comparison(candidate="v2", baseline="v1", gates=gates, candidate_requests=100)
    return replace(given, **values)  # type: ignore[arg-type]


GOOD = (gate("errors", Outcome.PASS), gate("latency", Outcome.PASS))
BAD = gate("errors", Outcome.FAIL)


def test_all_gates_passing_is_a_pass() -> None:
    assert judge(comparison(*GOOD), POLICY, NOW).outcome is Outcome.PASS


def test_one_gate_failing_is_a_fail_with_its_numbers() -> None:
    found = judge(comparison(BAD, GOOD[1]), POLICY, NOW)
    assert (found.outcome, found.reason) == (Outcome.FAIL, "errors fail: numbers")


def test_a_tripwire_fails_at_once_whatever_else_is_said() -> None:
    found = judge(comparison(*GOOD, tripped="4 in a row", invalid="off"), POLICY, NOW)
    assert found.acts_at_once


def test_the_slowest_open_gate_says_when_it_decides() -> None:
    gates = (
        gate("errors", Outcome.INSUFFICIENT, requests_to_decide=50, decide_in_s=10.0),
        gate("latency", Outcome.INSUFFICIENT, requests_to_decide=500, decide_in_s=100.0),
    )
    found = judge(comparison(*gates), POLICY, NOW)
    assert (found.outcome, found.decide_in_s) == (Outcome.INSUFFICIENT, 100.0)
    assert "500 more requests decide, about 100 s" in found.reason


def test_a_gate_that_will_not_decide_leaves_the_time_open() -> None:
    gates = (
        gate("errors", Outcome.INSUFFICIENT, requests_to_decide=50, decide_in_s=10.0),
        gate("latency", Outcome.INSUFFICIENT),
    )
    assert judge(comparison(*gates), POLICY, NOW).decide_in_s is None


def test_no_requests_is_no_verdict() -> None:
    assert judge(comparison(*GOOD, candidate_requests=0), POLICY, NOW).outcome is (
        Outcome.INSUFFICIENT
    )


@pytest.mark.parametrize("owner", [FaultOwner.REPLICA, FaultOwner.HOST])
def test_failures_of_a_replica_or_host_are_not_the_versions(owner: FaultOwner) -> None:
    blamed = Attribution(owner=owner, subject="a", detail="all from a")
    found = judge(comparison(BAD, attribution=blamed), POLICY, NOW)
    assert (found.outcome, found.blocked_by) == (Outcome.INSUFFICIENT, f"{owner.value} a")


def test_too_little_capacity_excuses_slowness_but_not_errors() -> None:
    blamed = Attribution(owner=FaultOwner.GATEWAY, detail="turned away")
    slow = gate("latency", Outcome.FAIL)
    assert judge(comparison(slow, attribution=blamed), POLICY, NOW).outcome is Outcome.INSUFFICIENT
    assert judge(comparison(BAD, attribution=blamed), POLICY, NOW).outcome is Outcome.FAIL


def test_a_wrong_share_makes_gates_untrusted() -> None:
    found = judge(comparison(BAD, invalid="50 % instead of 10 %"), POLICY, NOW)
    assert (found.outcome, found.blocked_by) == (Outcome.INSUFFICIENT, "sample ratio")


def test_gates_that_only_inform_do_not_decide() -> None:
    informing = gate("accuracy", Outcome.INSUFFICIENT, is_gating=False)
    assert judge(comparison(*GOOD, informing), POLICY, NOW).outcome is Outcome.PASS


def test_a_shadow_needs_compared_answers() -> None:
    policy = RolloutSpec(strategy="shadow", gates=GatesSpec(agreement=AgreementGate()))
    assert "no shadow answer" in judge(comparison(*GOOD), policy, NOW).reason
    agreed = gate("agreement", Outcome.PASS)
    assert judge(comparison(*GOOD, agreed), policy, NOW).outcome is Outcome.PASS
