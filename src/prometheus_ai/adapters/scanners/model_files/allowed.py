"""Names that a pickle may use."""

import importlib.resources
from collections.abc import Iterable
from functools import cache

# Names of Python 2 that protocols 0 to 2 still carry; unpickling renames them.
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}


@cache
def allowed_names() -> frozenset[str]:
    """Return every ``module.name`` that this package knows to run no code of the file's."""
    text = importlib.resources.files(__package__).joinpath("allowed.txt").read_text("utf-8")
    return frozenset(
        f"{words[0]}.{name}"
        for line in text.splitlines()
        if not line.startswith("#") and (words := line.split())
        for name in words[1:]
    )


class AllowList:
    """Decides whether a name may appear; ``extra`` are the names that a policy adds."""

    def __init__(self, extra: Iterable[str] = (), prefixes: tuple[str, ...] = ()) -> None:
        self._names = allowed_names() | frozenset(extra)
        self._prefixes = prefixes

    def allows(self, module: str, name: str, protocol: int) -> bool:
        """Whether unpickling may look this name up."""
        if protocol < 3:
            module = _RENAMED.get(module, module)
        full = f"{module}.{name}"
        return full in self._names or bool(self._prefixes and full.startswith(self._prefixes))

    def with_prefixes(self, *prefixes: str) -> "AllowList":
        """Return a list that allows every name below these modules too."""
        return AllowList(self._names, prefixes)

    def has_class(self, full: str) -> bool:
        """Whether a dotted name is allowed as it stands."""
        return full in self._names
