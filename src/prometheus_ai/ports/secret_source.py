"""Reading the secrets that specs refer to."""

from typing import Protocol

from prometheus_ai.domain.secret import Secret, SecretReference


class SecretSource(Protocol):
    """Reads secrets where they are kept, each time anew; keeps none."""

    def read(self, reference: SecretReference) -> Secret:
        """Return what is there now.

        Raises:
            InvalidInput: nothing is there, or it may not be read; names the reference alone.
            Unavailable: the place cannot be reached now.
        """
