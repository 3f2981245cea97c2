"""Paths to handlers."""

from collections.abc import Callable

from prometheus_ai_runtime.errors import NotFound
from prometheus_ai_runtime.http.answers import error_body
from prometheus_ai_runtime.http.exchange import Exchange
from prometheus_ai_runtime.http.head import Head

Handler = Callable[[Exchange], None]
Methods = dict[bytes, Handler]


class Router:
    """Fixed paths, model paths (``/v2/models/NAME…``) and people's paths (``/NAME/predict``)."""

    def __init__(self) -> None:
        self._fixed: dict[str, Methods] = {}
        self._model: dict[str, Methods] = {}
        self._repository: dict[str, Methods] = {}
        self._named: dict[str, Methods] = {}

    def fixed(self, path: str, **methods: Handler) -> None:
        """Route an exact path."""
        self._fixed[path] = _by_method(methods)

    def model(self, tail: str, **methods: Handler) -> None:
        """Route ``/v2/models/NAME[/versions/VERSION]TAIL``."""
        self._model[tail] = _by_method(methods)

    def repository(self, tail: str, **methods: Handler) -> None:
        """Route ``/v2/repository/models/NAMETAIL``."""
        self._repository[tail] = _by_method(methods)

    def named(self, tail: str, **methods: Handler) -> None:
        """Route ``/NAMETAIL``."""
        self._named[tail] = _by_method(methods)

    def resolve(self, head: Head) -> None:
        """Set the head's handler, model and version; unknown paths and methods get one as well."""
        methods = self._find(head)
        if methods is None:
            head.handler = _no_such_path
            return
        handler = methods.get(head.method)
        if handler is None and head.method == b"HEAD":
            handler = methods.get(b"GET")
        head.handler = handler or _WrongMethod(b", ".join(methods))

    def _find(self, head: Head) -> Methods | None:
        path = head.path
        if len(path) > 1 and path.endswith("/"):
            path = path[:-1]
        found = self._fixed.get(path)
        if found is not None:
            return found
        parts = path.split("/")[1:]
        if parts[:2] == ["v2", "models"] and len(parts) >= 3:
            head.model = parts[2]
            rest = parts[3:]
            if len(rest) >= 2 and rest[0] == "versions":
                head.version = rest[1]
                rest = rest[2:]
            return self._model.get("/".join(["", *rest]))
        if parts[:3] == ["v2", "repository", "models"] and len(parts) == 5:
            head.model = parts[3]
            return self._repository.get(f"/{parts[4]}")
        if len(parts) == 2:
            head.model = parts[0]
            return self._named.get(f"/{parts[1]}")
        return None


def _by_method(methods: dict[str, Handler]) -> Methods:
    return {name.upper().encode(): handler for name, handler in methods.items()}


def _no_such_path(exchange: Exchange) -> None:
    raise NotFound(f"no such path: {exchange.head.path[:120]}")


class _WrongMethod:
    """Answers 405 with the methods that there are."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: bytes) -> None:
        self._allowed = allowed

    def __call__(self, exchange: Exchange) -> None:
        """Answer 405."""
        message = f"the method must be {self._allowed.decode()}"
        exchange.answer(405, error_body(message), headers=[(b"allow", self._allowed)])
