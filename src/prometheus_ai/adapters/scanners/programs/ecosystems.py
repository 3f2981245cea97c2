"""What other scanners call kinds of packages, in the words of OSV."""

_ECOSYSTEMS = {
    "python": "PyPI", "python-pkg": "PyPI", "pip": "PyPI", "poetry": "PyPI", "uv": "PyPI",
    "deb": "Debian", "debian": "Debian", "ubuntu": "Ubuntu",
    "apk": "Alpine", "alpine": "Alpine", "rpm": "Red Hat", "redhat": "Red Hat",
    "npm": "npm", "node-pkg": "npm", "go-module": "Go", "gobinary": "Go", "gomod": "Go",
    "java-archive": "Maven", "jar": "Maven", "rust-crate": "crates.io", "gem": "RubyGems",
}  # fmt: skip


def ecosystem_of(kind: str) -> str:
    """Return OSV's name of a kind of package; ``generic`` where it has none."""
    return _ECOSYSTEMS.get(kind.lower(), "generic")
