"""An image is compared with what was recorded of its release."""

from dataclasses import replace
from datetime import UTC, datetime

from prometheus_ai.control.containers.verification import verified_facts
from prometheus_ai.domain.image import (
    LABEL_LOCK,
    LABEL_MODEL,
    LABEL_PLAN,
    LABEL_RELEASE,
    BuildRecord,
    ImageFacts,
)
from prometheus_ai.testing.state_values import make_release

RELEASE = make_release()
FACTS = ImageFacts(
    image="sha256:11", tags=(), size_bytes=1, user="", entrypoint=(), environment=(),
    labels={
        LABEL_RELEASE: f"{RELEASE.id}@{RELEASE.digest}",
        LABEL_LOCK: RELEASE.inputs.lock.digest,
        LABEL_MODEL: RELEASE.inputs.model.digest,
        LABEL_PLAN: "sha256:22",
    },
)  # fmt: skip
BUILD = BuildRecord(
    image="sha256:11", tag="t", plan="sha256:22", took_s=1, at=datetime(2026, 1, 1, tzinfo=UTC)
)


def differing(facts: ImageFacts, *builds: BuildRecord) -> list[str]:
    return [one.name for one in verified_facts(RELEASE, facts, builds) if not one.agrees]


def test_the_image_that_was_built_agrees() -> None:
    assert differing(FACTS, replace(BUILD, image="sha256:old"), BUILD) == []


def test_a_tag_that_was_moved_is_told_by_digest_and_labels() -> None:
    labels = {**FACTS.labels, LABEL_MODEL: "sha256:other"}
    assert differing(replace(FACTS, image="sha256:99", labels=labels), BUILD) == ["digest", "model"]
    assert differing(replace(FACTS, labels={}), BUILD) == ["release", "lock", "model", "plan"]


def test_without_a_recorded_build_labels_still_speak() -> None:
    assert differing(FACTS) == []
