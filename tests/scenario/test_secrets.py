"""Secrets are read at every start; what fails names their references, and nothing keeps a value."""

from dataclasses import dataclass, field

from prometheus_ai.domain.errors import InvalidInput
from prometheus_ai.domain.secret import Secret, SecretReference
from tests.scenario.conftest import ASKER, Line

HUB = {"hub": SecretReference(env="PAI_SECRET_HUB")}
VALUE = "kept-by-nobody"


@dataclass
class Kept:
    """Implements SecretSource over a dictionary."""

    values: dict[str, str]
    asked: list[str] = field(default_factory=list)

    def read(self, reference: SecretReference) -> Secret:
        self.asked.append(reference.words)
        if reference.words not in self.values:
            raise InvalidInput(f"secret {reference.words} is not set")
        return Secret(self.values[reference.words])


def test_a_secret_is_read_at_each_start_and_kept_nowhere(line: Line) -> None:
    line.plane.secrets = source = Kept({"env:PAI_SECRET_HUB": VALUE})
    line.deploy(secrets=HUB)
    line.run()
    assert line.phases() == {"v1": "ready"}
    line.control.scale("digits", 2, None, ASKER)
    line.run()
    assert source.asked == ["env:PAI_SECRET_HUB"] * 2
    events = line.control.recent_events("digits", 100)
    assert VALUE not in repr((events, line.control.backend("digits"), line.control.why("digits")))
    assert VALUE not in "".join(line.control.audit_export())


def test_a_missing_secret_fails_the_release_by_its_reference(line: Line) -> None:
    line.plane.secrets = Kept({})
    line.deploy(secrets=HUB)
    line.run(60)
    assert line.phases() == {"v1": "failed"}
    (release,) = line.control.releases("digits")
    assert "secret env:PAI_SECRET_HUB is not set" in release.failure


def test_a_secret_that_comes_back_lets_replicas_start_again(line: Line) -> None:
    line.plane.secrets = source = Kept({"env:PAI_SECRET_HUB": VALUE})
    line.deploy(secrets=HUB)
    line.run()
    source.values.clear()
    line.control.scale("digits", 2, None, ASKER)
    line.run(20)
    assert line.served() == {"v1": 1}
    source.values["env:PAI_SECRET_HUB"] = VALUE
    line.run(120)
    assert line.served() == {"v1": 2}
