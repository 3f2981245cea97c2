"""Reading spec files: what is accepted, and how every mistake is explained."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.errors import InvalidSpec, SpecProblem
from prometheus_ai.specs.read import check, decode, read
from prometheus_ai.specs.tree import TEXT_LEN_MAX

SMALL = "name: digits\nmodel: {path: model.onnx, engine: onnx}\n"


def problems(text: str) -> tuple[SpecProblem, ...]:
    """Return what is wrong with a text."""
    with pytest.raises(InvalidSpec) as caught:
        read(text, "pai.yaml")
    return caught.value.problems


def only(text: str) -> SpecProblem:
    """Return the one thing that is wrong with a text."""
    (problem,) = problems(text)
    return problem


def test_name_path_and_engine_are_enough() -> None:
    spec = read(SMALL, "pai.yaml")
    assert (spec.name, spec.model.path, spec.model.engine) == ("digits", "model.onnx", "onnx")


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        "nme: x\nname: Digits\nreplicas: 0\nmodel:\n  path: m.onnx\n  engine: onx\nreplicas: 2\n"
    )
    assert [(problem.line, problem.field) for problem in found] == [
        (1, "nme"),
        (2, "name"),
        (3, "replicas"),
        (6, "model.engine"),
        (7, "replicas"),
    ]


def test_the_message_names_file_line_and_field() -> None:
    with pytest.raises(InvalidSpec, match=r"^pai\.yaml:3: replicas: must be greater than"):
        read(SMALL + "replicas: 0\n", "pai.yaml")


def test_a_position_is_that_of_the_value() -> None:
    problem = only("name: digits\nmodel:\n  path: m\n  engine: onx\n")
    assert (problem.line, problem.column) == (4, 11)


def test_an_unknown_field_names_the_nearest_one() -> None:
    assert only(SMALL + "replica: 1\n").hint == "did you mean replicas?"


def test_a_misplaced_field_is_told_where_it_belongs() -> None:
    assert "resources.memory" in only(SMALL + "memory: 1Gi\n").hint


def test_an_unlike_unknown_field_lists_the_known_ones() -> None:
    assert "known fields here: cpu, memory, gpu" in only(SMALL + "resources: {zzz: 1}\n").hint


def test_a_wrong_choice_names_the_nearest_and_the_allowed_values() -> None:
    problem = only("name: a\nmodel: {path: m, engine: ligthgbm}\n")
    assert problem.hint.startswith("did you mean lightgbm? allowed: onnx, sklearn")


def test_a_version_that_looks_like_a_number_is_never_shortened() -> None:
    problem = only(SMALL + "version: 1.10\n")
    assert problem.message == "must be text, not 1.10"
    assert problem.hint == 'write it in quotes: version: "1.10"'
    assert read(SMALL + 'version: "1.10"\n', "pai.yaml").version == "1.10"


@pytest.mark.parametrize("word", ["no", "off", "n", "No"])
def test_words_of_yaml_1_1_are_no_booleans(word: str) -> None:
    problem = only(f"name: a\nmodel: {{path: m, allow_pickle: {word}}}\n")
    assert (problem.field, problem.hint) == ("model.allow_pickle", "write false")


def test_a_label_no_stays_text() -> None:
    assert read(SMALL + "labels: {country: no}\n", "pai.yaml").labels == {"country": "no"}


@pytest.mark.parametrize(
    ("written", "cpu"), [("010", 10), ("0x10", 16), ("1.5", 1.5), ("1e2", 100), ("0o17", 15)]
)
def test_numbers_follow_yaml_1_2(written: str, cpu: float) -> None:
    assert read(SMALL + f"resources: {{cpu: {written}}}\n", "pai.yaml").resources.cpu == cpu


@pytest.mark.parametrize("written", ['"3"', "3.5", "three", "1_000", "2026-01-01", "~", "[3]"])
def test_nothing_is_converted_into_a_number(written: str) -> None:
    assert only(SMALL + f"replicas: {written}\n").field == "replicas"


def test_a_number_beyond_every_bound_is_refused() -> None:
    assert only(SMALL + f"replicas: {'9' * 3000}\n").field == "replicas"
    assert only(SMALL + f"replicas: {'9' * 5000}\n").field == "replicas"
    assert only(SMALL + "resources: {cpu: .inf}\n").field == "resources.cpu"
    assert only(SMALL + "resources: {cpu: .nan}\n").field == "resources.cpu"


def test_a_duplicate_key_names_both_lines() -> None:
    problem = only(SMALL + "labels:\n  a: x\n  a: y\n")
    assert (problem.field, problem.line) == ("labels.a", 5)
    assert problem.message == "appears twice, first on line 4"


def test_a_key_that_is_no_text_is_refused() -> None:
    assert 'write it in quotes: "1"' in problems(SMALL + "labels:\n  1: x\n")[0].hint


def test_requirements_are_a_list_or_a_path() -> None:
    text = SMALL + "environment: {requirements: %s}\n"
    assert read(text % "[numpy]", "x").environment.requirements == ("numpy",)
    assert read(text % "requirements.txt", "x").environment.requirements == "requirements.txt"
    assert only(text % "5").message == "must be a list or text, not 5"
    assert only(text % "[numpy, 5]").field == "environment.requirements[1]"


def test_a_wrong_tensor_is_named_by_its_index() -> None:
    problem = only(
        "name: a\nmodel:\n  path: m\n  signature:\n    outputs: [{name: y, datatype: INT64, shape: [-1]}]\n"
        "    inputs:\n      - {name: x, datatype: F32, shape: [-1]}\n"
    )
    assert (problem.field, problem.line) == ("model.signature.inputs[0].datatype", 7)
    assert problem.hint.startswith("did you mean FP32?")


@pytest.mark.parametrize(
    ("rest", "field"),
    [
        ("resources: {memory: lots}", "resources.memory"),
        ("resources: {memory: 1Mi}", "resources.memory"),
        ("limits: {request_size: 5Ti}", "limits.request_size"),
        ("route: {sticky: {header: a, cookie: b}}", "route.sticky"),
        ("environment: {requirements: [a], lock: uv.lock}", "environment"),
        ("model: {path: 'https://host/m.onnx'}", "model"),
        ("model: {path: 's3://bucket/m.onnx'}", "model"),
        ("target: Local", "target"),
    ],
)
def test_rules_between_fields_have_a_line(rest: str, field: str) -> None:
    start = "name: a\n" if rest.startswith("model") else SMALL
    problem = only(start + rest + "\n")
    assert problem.field == field
    assert problem.line == start.count("\n") + 1


def test_a_reserved_name_is_refused() -> None:
    assert "reserved" in only("name: metrics\nmodel: {path: m}\n").message


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "the spec is empty", None),
        ("# only a comment\n", "the spec is empty", None),
        ("---\n", "the spec is empty", None),
        ("- a\n- b\n", "a spec is a mapping of fields, not a list", 1),
        ("hello\n", 'a spec is a mapping of fields, not "hello"', 1),
        ("name:\n\tdigits\n", "a tab is used for indentation", 2),
        (SMALL + "---\n" + SMALL, "a second document starts here", 3),
        ("name: a: b\n", "mapping values are not allowed here", 1),
        ("name: 'a\n", "found unexpected end of stream", 2),
        ("name: a\x01\n", "character U+0001 is not allowed in YAML", 1),
        ("a: *nowhere\n", "alias *nowhere has no complete anchor before it", 1),
        ("a: &a [*a]\n", "alias *a has no complete anchor before it", 1),
        ("name: !!python/name:os.system x\nmodel: {path: m}\n", "tag", 1),
        ("? [a]\n: b\n", "a list cannot be a field's name", 1),
        ("[" * 10_000, "values are nested more than 32 deep", 1),
        ("x" * (TEXT_LEN_MAX + 1), "the text has 262,145 characters", None),
    ],
)
def test_text_that_is_no_spec_is_explained(text: str, message: str, line: int | None) -> None:
    first = problems(text)[0]
    assert first.message.startswith(message)
    if line is not None:
        assert first.line is not None
        assert abs(first.line - line) <= 1


def test_aliases_work_within_a_bound() -> None:
    text = SMALL + "labels: {a: &x same, b: *x}\n"
    assert read(text, "pai.yaml").labels == {"a": "same", "b": "same"}
    bomb = "a0: &a0 [1]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    assert "10,000 values" in only(bomb).message


def test_merge_keys_are_explained() -> None:
    assert "merge keys" in only(SMALL + "<<: {replicas: 2}\n").hint


def test_bytes_that_are_not_utf8_name_their_line() -> None:
    assert decode("name: é".encode(), "pai.yaml") == "name: é"
    with pytest.raises(InvalidSpec, match=r"pai\.yaml:2: byte 0xe9 is not UTF-8"):
        decode(b"name: a\nlabels: {x: \xe9}\n", "pai.yaml")


def test_a_byte_order_mark_is_skipped() -> None:
    assert read("\ufeff" + SMALL, "pai.yaml").name == "digits"


def test_plain_values_are_checked_like_text_but_without_lines() -> None:
    assert check({"name": "a", "model": {"path": "m"}}, "spec").name == "a"
    with pytest.raises(InvalidSpec) as caught:
        check({"name": "a", "model": {"path": "m"}, "replica": 2}, "spec")
    (problem,) = caught.value.problems
    assert (problem.field, problem.line, problem.hint) == (
        "replica",
        None,
        "did you mean replicas?",
    )
    with pytest.raises(InvalidSpec, match="no plain JSON"):
        check({"name": {1, 2}}, "spec")


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["name: ", "a", "model: {path: m}", "\n", "  ", "- ", "[", "]", "{", "}", "&a ", "*a"]
            + ["'", '"', "|", ">", "? ", ": ", "# ", "!!str ", "1.10", "~", "---\n", "...", "%TAG"]
        )
    ).map("".join)
)
def test_any_text_is_a_spec_or_explained(text: str) -> None:
    with contextlib.suppress(InvalidSpec):
        read(text, "pai.yaml")
