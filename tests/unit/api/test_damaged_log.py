"""A control plane whose audit log was damaged can be looked at and verified, and changes nothing."""

import pytest

from prometheus_ai.client import Client
from prometheus_ai.control.begin import begin
from prometheus_ai.domain.errors import Corrupted
from tests.unit.api.world import World


def test_a_log_without_its_head_is_named_and_verified(world: World) -> None:
    with Client(url=world.url, token=world.token()) as client:
        world.store._state.head = None
        begin(world.plane)
        assert "its head is gone" in client.status().audit_problem
        found = client.audit_verify()
        assert not found.is_intact
        assert found.findings[0].kind == "head:edited"
        with pytest.raises(Corrupted, match="its head is gone"):
            client.create_token("more", "viewer")
