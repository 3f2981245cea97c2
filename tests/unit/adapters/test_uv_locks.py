"""Locks are read strictly and written canonically."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.adapters.environments.uv.locks import (
    Pin,
    check_requirements,
    needs_of_extra,
    normal,
    parse_pylock,
    parse_requirements_lock,
    project_of_uv_lock,
    render,
)
from prometheus_ai.domain.errors import InvalidInput

H1, H2 = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def test_every_form_of_a_pinned_line_is_read() -> None:
    text = f"""
# a comment
Foo.Bar==1.0 \\
    --hash={H2} \\
    --hash={H1}
    # via something
baz[extra]==2.0rc1 ; python_version >= '3.11' --hash={H1}
local===weird --hash={H1}
direct @ https://example.org/d-1.whl --hash={H1}  # comment
"""
    pins = parse_requirements_lock(text, "requirements.txt")
    assert [pin.requirement() for pin in pins] == [
        "foo-bar==1.0",
        "baz==2.0rc1 ; python_version >= '3.11'",
        "local===weird",
        "direct @ https://example.org/d-1.whl",
    ]
    assert pins[0].hashes == (H1, H2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("foo==1.0", "2: foo has no hash"),
        (f"foo>=1.0 --hash={H1}", "2: .* is not an exact version"),
        ("-e .", "2: the option -e"),
        ("--index-url https://user:secret@example.org/", "2: the option --index-url is"),
        ("\\\n==", "not an exact version"),
    ],
)
def test_what_is_no_lock_is_refused_with_its_line(line: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        parse_requirements_lock(f"\n{line}\n", "requirements.txt")
    assert "secret" not in caught.value.message


def test_an_empty_lock_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no package"):
        parse_requirements_lock("# nothing\n", "x.txt")


names = st.sampled_from(["a", "b", "foo-bar", "x1", "scikit-learn"])
hashes = st.integers(0, 2**256 - 1).map(lambda value: f"sha256:{value:064x}")
pins = st.builds(
    Pin,
    name=names,
    pin=st.integers(0, 99).map(lambda number: f"=={number}.0"),
    marker=st.sampled_from(["", "sys_platform == 'linux'", "python_version < '3.12'"]),
    hashes=st.sets(hashes, min_size=1, max_size=3).map(lambda found: tuple(sorted(found))),
)


@given(st.lists(pins, min_size=1, max_size=8, unique_by=lambda pin: pin.requirement()))
def test_what_is_written_is_read_back_and_order_does_not_matter(given_pins: list[Pin]) -> None:
    text = render(given_pins, python="3.11", engine="onnx")
    assert text == render(list(reversed(given_pins)), python="3.11", engine="onnx")
    read = parse_requirements_lock(text.decode(), "ours")
    assert sorted(read, key=Pin.requirement) == sorted(given_pins, key=Pin.requirement)


def test_a_pylock_is_read() -> None:
    text = f"""
lock-version = "1.0"
[[packages]]
name = "Foo"
version = "1.0"
marker = "sys_platform == 'linux'"
wheels = [{{ url = "https://x/foo.whl", hashes = {{ sha256 = "{"1" * 64}" }} }}]
sdist = {{ url = "https://x/foo.tar.gz", hashes = {{ sha256 = "{"2" * 64}" }} }}
"""
    (pin,) = parse_pylock(text, "pylock.toml")
    assert pin == Pin(name="foo", pin="==1.0", marker="sys_platform == 'linux'", hashes=(H1, H2))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml [", "not valid TOML"),
        ("lock-version = '2.0'", "not 1.x"),
        ("lock-version = '1.0'", "no package"),
        ("lock-version = '1.0'\n[[packages]]\nname='f'\nversion='1'", "no sha256"),
        ("lock-version = '1.0'\n[[packages]]\nname='f'\nversion='1'\nvcs={}", "repository"),
    ],
)
def test_a_pylock_that_pins_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse_pylock(text, "pylock.toml")


def test_a_uv_lock_names_one_project() -> None:
    one = '[[package]]\nname = "mine"\nversion = "1"\nsource = { virtual = "." }\n'
    assert 'name = "mine"' in project_of_uv_lock(one, "uv.lock")
    for text, says in ((one + one.replace("mine", "other"), "2 "), ("version = 1", "none")):
        with pytest.raises(InvalidInput, match=says):
            project_of_uv_lock(text, "uv.lock")


def test_the_packages_of_an_extra_are_read_from_metadata() -> None:
    metadata = (
        "Requires-Dist: numpy>=1.26\n"
        "Requires-Dist: scikit_learn>=1.4; extra == 'sklearn'\n"
        'Requires-Dist: skops>=0.11; extra == "sklearn"\n'
        "Requires-Dist: torch>=2; extra == 'torch'\n"
        "\nRequires-Dist: text>=1; extra == 'sklearn'\n"
    )
    assert needs_of_extra(metadata, "sklearn") == ("scikit-learn", "skops")


def test_requirements_lose_comments_and_nothing_else() -> None:
    lines = ["# all", "", "numpy>=2  # fast", "pandas[excel]>=2 ; python_version > '3.10'"]
    assert check_requirements(lines) == [
        "numpy>=2",
        "pandas[excel]>=2 ; python_version > '3.10'",
    ]


@pytest.mark.parametrize("line", ["-r x.txt", "--pre", "./a.whl", "/a.whl", "=1", "@x"])
def test_what_does_not_travel_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput, match="not a package"):
        check_requirements([line])


def test_names_compare_as_indexes_do() -> None:
    assert normal("Foo_Bar..baz") == "foo-bar-baz"
