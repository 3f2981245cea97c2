"""Credentials in files: what providers' keys look like, and random texts that are assigned to telling names."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from math import log2

from prometheus_ai.domain.gate import SecretFinding

FILE_BYTES_MAX = 2 * 2**20
FINDINGS_PER_FILE_MAX = 20
ENTROPY_MIN = 3.5

_RULES: dict[str, tuple[bytes, re.Pattern[bytes]]] = {
    "aws-access-key": (b"A", re.compile(rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    "github-token": (b"gh", re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b")),
    "github-fine-grained": (b"github_pat_", re.compile(rb"\bgithub_pat_[A-Za-z0-9_]{60,100}\b")),
    "gitlab-token": (b"glpat-", re.compile(rb"\bglpat-[A-Za-z0-9_-]{20,}\b")),
    "slack-token": (b"xox", re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}\b")),
    "google-api-key": (b"AIza", re.compile(rb"\bAIza[A-Za-z0-9_-]{35}\b")),
    "stripe-key": (b"_live_", re.compile(rb"\b[sr]k_live_[A-Za-z0-9]{20,}\b")),
    "openai-key": (b"sk-", re.compile(rb"\bsk-(?:proj-|svcacct-|ant-)?[A-Za-z0-9_-]{40,}\b")),
    "huggingface-token": (b"hf_", re.compile(rb"\bhf_[A-Za-z0-9]{34}\b")),
    "pypi-token": (b"pypi-", re.compile(rb"\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}\b")),
    "npm-token": (b"npm_", re.compile(rb"\bnpm_[A-Za-z0-9]{36}\b")),
    "azure-storage-key": (b"AccountKey=", re.compile(rb"AccountKey=[A-Za-z0-9+/]{80,}={0,2}")),
    "prometheus-ai-token": (b"pai_", re.compile(rb"\bpai_[0-9A-Za-z]{36,}\b")),
    "private-key": (
        b"PRIVATE KEY-----",
        re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s:,-]{64,}"),
    ),
    "password-in-url": (
        b"://", re.compile(rb"\b[a-z][a-z0-9+]{2,20}://[^\s:/@'\"<>{}$]{1,64}:([^\s:/@'\"<>{}$*]{6,})@[\w.-]+"),
    ),
}  # fmt: skip
_ASSIGNED = re.compile(
    rb"(?i)((?:password|passwd|secret|token|api_?key|access_?key|auth_?key)[\w-]{0,40})"
    rb"['\"]?\s{0,3}(?:=|:=?|=>)\s{0,3}['\"]?([A-Za-z0-9+/=_\-!@#%^&*]{16,200})(?=['\"\s,;]|$)"
)
_NAMES = (
    b"assw",
    b"ASSW",
    b"ecret",
    b"ECRET",
    b"oken",
    b"OKEN",
    b"_key",
    b"_KEY",
    b"apikey",
    b"Key",
)
_PLACEHOLDER = re.compile(
    rb"(?i)example|placeholder|changeme|your[_-]|xxxx|dummy|sample|redacted|insert|\.\.\.|^[a-z_.]+$|^[A-Z_]+$"
)


def secrets_in(data: bytes, file: str, layer: str = "") -> Iterator[SecretFinding]:
    """Yield what looks like a credential in a file's bytes."""
    for rule, start, secret in islice(_hits(data), FINDINGS_PER_FILE_MAX):
        line = data.count(b"\n", 0, start) + 1
        yield SecretFinding(
            rule=rule, file=file, line=line, layer=layer, excerpt=_blotted(data, start, secret)
        )


def _hits(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    for rule, (mark, pattern) in _RULES.items():
        if mark in data:
            for match in pattern.finditer(data):
                secret = match[match.lastindex or 0]
                if not _PLACEHOLDER.search(secret) or rule == "private-key":
                    yield rule, match.start(), secret
    if any(name in data for name in _NAMES):
        for match in _ASSIGNED.finditer(data):
            value = match[2]
            if entropy(value) >= ENTROPY_MIN and _is_random(value):
                yield "assigned-secret", match.start(2), value


def _is_random(value: bytes) -> bool:
    kinds = sum(
        re.search(pattern, value) is not None for pattern in (rb"[a-z]", rb"[A-Z]", rb"[0-9]")
    )
    return kinds >= 2 and re.search(rb"[0-9]", value) is not None and not _PLACEHOLDER.search(value)


def entropy(value: bytes) -> float:
    """Return Shannon's entropy in bits for each byte."""
    counts = Counter(value)
    return -sum(n / len(value) * log2(n / len(value)) for n in counts.values())


def _blotted(data: bytes, start: int, secret: bytes) -> str:
    begin = data.rfind(b"\n", 0, start) + 1
    end = data.find(b"\n", start)
    line = data[max(begin, start - 80) : end if end >= 0 else None][:160]
    return line.replace(secret, secret[:4] + b"***")[:120].decode("utf-8", "replace").strip()
