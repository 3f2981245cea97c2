"""Where measured service times come from."""

from typing import Protocol

from prometheus_ai.domain.profile import ModelProfile
from prometheus_ai.domain.replica import Endpoint


class ProfileSource(Protocol):
    """Asks a replica what it learned of its model's cost."""

    def profile(self, endpoint: Endpoint, name: str) -> ModelProfile:
        """Return the profile of a model on one replica.

        Raises:
            Unavailable: the replica does not answer.
        """
