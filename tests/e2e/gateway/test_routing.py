"""Which request reaches which release."""

from collections import Counter

import httpx
import pytest

from prometheus_ai.domain.route import Sticky
from tests.e2e.gateway.rig import GatewayRig, release, route
from tests.e2e.gateway.upstream import Upstream

pytestmark = pytest.mark.e2e


@pytest.fixture
def digits(gateway: GatewayRig, one: Upstream, two: Upstream) -> GatewayRig:
    gateway.serve(
        route(
            "digits",
            release("v1", one),
            release("v2.1.5", two),
            weights={"v1": 100, "v2.1.5": 0},
        )
    )
    return gateway


@pytest.mark.parametrize(
    ("path", "host", "inner_path"),
    [
        ("/v2/models/digits", "gw", "/v2/models/digits"),
        ("/v2/models/digits/infer", "gw", "/v2/models/digits/infer"),
        ("/v2/models/digits/ready?x=1", "gw", "/v2/models/digits/ready?x=1"),
        ("/digits", "gw", "/"),
        ("/digits?x=1", "gw", "/?x=1"),
        ("/digits/", "gw", "/"),
        ("/digits/any/path?x=1", "gw", "/any/path?x=1"),
        ("/any/path", "digits", "/any/path"),
        ("/any/path", "DIGITS.example.com:7080", "/any/path"),
        ("/v2/health/live", "digits.example.com", "/v2/health/live"),
        ("/x/../digits//deep/./path", "gw", "/deep/path"),
    ],
)
def test_every_form_of_address_reaches_the_backend(
    digits: GatewayRig, path: str, host: str, inner_path: str
) -> None:
    answer = digits.get(path, host=host)
    assert answer.status_code == 200
    assert answer.json()["path"] == inner_path
    assert answer.headers["x-pai-release"] == "digits/v1"


@pytest.mark.parametrize(
    "path",
    ["/", "/digitsx", "/digit", "/v2/models/digitsx/infer", "/v2/models/", "/v2", "/v2/models/v2"],
)
def test_an_unknown_backend_is_a_404_that_names_the_forms(digits: GatewayRig, path: str) -> None:
    answer = digits.get(path)
    assert answer.status_code == 404
    assert "/v2/models/NAME/" in answer.json()["error"]
    assert answer.headers["content-type"] == "application/json"


def test_the_gateway_answers_for_its_own_health(gateway: GatewayRig) -> None:
    assert gateway.get("/v2/health/live").json() == {"live": True}
    assert gateway.get("/v2/health/ready").json() == {"ready": True}
    assert gateway.post("/v2/health/live").status_code == 404


@pytest.mark.parametrize("value", ["v2.1.5", "digits/v2.1.5"])
def test_a_header_forces_a_release(digits: GatewayRig, value: str) -> None:
    answer = digits.get("/digits/", x_pai_release=value)
    assert answer.json()["replica"] == "two"
    assert answer.headers["x-pai-release"] == "digits/v2.1.5"


@pytest.mark.parametrize(
    "path",
    ["/v2/models/digits/versions/v2.1.5/infer", "/digits/v2/models/digits/versions/v2.1.5"],
)
def test_a_version_in_the_path_chooses_the_release(digits: GatewayRig, path: str) -> None:
    answer = digits.get(path)
    assert answer.json()["replica"] == "two"
    assert answer.json()["path"].startswith("/v2/models/digits/versions/v2.1.5")


def test_an_unknown_version_is_a_404_that_names_the_known_ones(digits: GatewayRig) -> None:
    for answer in (
        digits.get("/digits/", x_pai_release="v9"),
        digits.get("/v2/models/digits/versions/v9/infer"),
        digits.get("/digits/", x_pai_release="other/v1"),
    ):
        assert answer.status_code == 404
        assert "v1, v2.1.5" in answer.json()["error"]


def test_traffic_splits_by_weight(gateway: GatewayRig, one: Upstream, two: Upstream) -> None:
    releases = (release("v1", one), release("v2", two))
    gateway.serve(route("split", *releases, weights={"v1": 75, "v2": 25}))
    seen = Counter(gateway.get("/split/").headers["x-pai-release"] for _ in range(400))
    assert 60 <= seen["split/v2"] <= 140
    assert seen.total() == 400


def test_a_release_without_replicas_gives_its_share_to_the_others(
    gateway: GatewayRig, one: Upstream
) -> None:
    gateway.serve(route("half", release("v1", one), release("v2"), weights={"v1": 50, "v2": 50}))
    assert {gateway.get("/half/").status_code for _ in range(20)} == {200}
    forced = gateway.get("/half/", x_pai_release="v2")
    assert forced.status_code == 503
    assert forced.headers["retry-after"] == "1"


def test_a_backend_without_ready_replicas_says_when_to_come_back(gateway: GatewayRig) -> None:
    gateway.serve(route("empty", release("v1"), weights={"v1": 100}))
    answer = gateway.get("/empty/")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "no ready replica" in answer.json()["error"]


def test_a_sticky_header_keeps_clients_while_weights_grow(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    releases = (release("v1", one), release("v2", two))
    sticky = Sticky(header="x-user")
    users = [f"user-{number}" for number in range(60)]

    def assigned(share: int) -> dict[str, str]:
        weights = {"v1": 100 - share, "v2": share}
        gateway.serve(route("sticky", *releases, weights=weights, sticky=sticky))
        return {user: gateway.get("/sticky/", x_user=user).json()["replica"] for user in users}

    first, again, grown = assigned(30), assigned(30), assigned(60)
    assert first == again
    canary = {user for user, replica in first.items() if replica == "two"}
    assert 5 <= len(canary) <= 35
    assert canary < {user for user, replica in grown.items() if replica == "two"}


def test_a_sticky_cookie_is_minted_and_keeps_the_first_release(
    gateway: GatewayRig, one: Upstream, two: Upstream
) -> None:
    releases = (release("v1", one), release("v2", two))
    weights = {"v1": 50, "v2": 50}
    gateway.serve(route("baked", *releases, weights=weights, sticky=Sticky(cookie="pai-cohort")))
    for _ in range(10):
        with httpx.Client(base_url=gateway.url) as browser:
            first = browser.get("/baked/")
            assert "pai-cohort=" in first.headers["set-cookie"]
            later = [browser.get("/v2/models/baked/infer") for _ in range(5)]
        assert {answer.json()["replica"] for answer in later} == {first.json()["replica"]}
        assert not any("set-cookie" in answer.headers for answer in later)


def test_other_cookies_stay_as_they_are(gateway: GatewayRig, one: Upstream, two: Upstream) -> None:
    sticky = Sticky(cookie="c")
    gateway.serve(route("jar", release("v1", one), weights={"v1": 100}, sticky=sticky))
    sent = gateway.get("/jar/", cookie="abc=1; bc=2").json()["headers"]["cookie"]
    assert sent.startswith("abc=1; bc=2; c=")
    assert gateway.get("/jar/", cookie="a=1; c=mine").json()["headers"]["cookie"] == "a=1; c=mine"
