"""Secrets do not show themselves."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prometheus_ai.domain.secret import (
    Secret,
    hash_token,
    is_well_formed,
    mask_tokens,
    matches,
    new_token,
)


def test_a_secret_prints_as_stars_everywhere() -> None:
    secret = Secret("hunter2")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{secret:>9}", f"{[secret]}"]
    assert not any("hunter2" in text for text in shown)
    assert str(secret) == "***"
    assert secret.reveal() == "hunter2"


def test_a_secret_is_not_serialised() -> None:
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not written"):
            write(Secret("hunter2"))


def test_equal_secrets_are_equal() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


@given(seed=st.binary(min_size=32, max_size=32))
def test_a_token_is_well_formed_and_matches_its_hash(seed: bytes) -> None:
    display, secret_hash = new_token(seed)
    text = display.reveal()
    assert text.startswith("pai_")
    assert len(text) == 53
    assert is_well_formed(text)
    assert matches(text, secret_hash)
    assert hash_token(text) == secret_hash
    assert not matches(text[:-1], secret_hash)
    assert mask_tokens(f"token={text};") == "token=***;"


@given(seed=st.binary(min_size=32, max_size=32), place=st.integers(4, 52), digit=st.integers(1, 61))
def test_a_mistyped_token_is_told_from_an_unknown_one(seed: bytes, place: int, digit: int) -> None:
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = new_token(seed)[0].reveal()
    wrong = alphabet[(alphabet.index(text[place]) + digit) % 62]
    assert not is_well_formed(text[:place] + wrong + text[place + 1 :])


def test_other_text_is_no_token() -> None:
    for text in ("", "pai_", "pai_" + "A" * 48, "pai_" + "A" * 49 + "\n", "ghp_" + "A" * 49):
        assert not is_well_formed(text)


def test_a_token_needs_its_random_bytes() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        new_token(b"short")
