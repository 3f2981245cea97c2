"""A model in its own process: unloading returns its memory, a crash or hang is its own."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic, perf_counter
from typing import Any

from prometheus_ai_runtime.config import parse_signature
from prometheus_ai_runtime.engines.base import (
    EngineError,
    EngineMissing,
    LoadRequest,
    Tensors,
    UnsafeFormat,
)
from prometheus_ai_runtime.hosting.frames import Gone, receive, send
from prometheus_ai_runtime.signature import Signature

_KINDS = {
    "EngineMissing": EngineMissing,
    "UnsafeFormat": UnsafeFormat,
    "EngineError": EngineError,
}
_END_S = 5.0
_CRASHES_FREE = 12
"""Finding the request at fault in a large batch may take this many deaths in a row."""
_HOLD_OFF_S_MAX = 30.0


class ModelProcessFailed(Exception):
    """The model's process died or raised."""


class IsolatedModel:
    """A LoadedModel that lives in a child process; started again after a crash.

    ``predict`` belongs to one thread; ``kill`` may be called from any.
    """

    def __init__(self, engine: str, request: LoadRequest) -> None:
        self._engine = engine
        self._request = request
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self.starting_since: float | None = None
        """When the start under way began, in ``perf_counter`` seconds."""
        self.started_at = 0.0
        self._crashes = 0
        self._not_before = 0.0
        self._closed = False
        self.warnings: tuple[str, ...] = ()
        self.signature = Signature(inputs=(), outputs=())
        self.batchable = False
        self.missing_is_nan = False
        self.streams = False
        self.predicts = True
        self._start()

    @property
    def pid(self) -> int:
        """The child's process id; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def predict(self, inputs: Tensors) -> Tensors:
        """Run a batch in the child; raises ModelProcessFailed when it dies or the model raises."""
        head, outputs = self._ask({"op": "predict"}, inputs)
        self._crashes = 0
        if "error" in head:
            raise ModelProcessFailed(head["error"])
        return outputs

    def stream(self, inputs: Tensors) -> Iterator[Tensors]:
        """Yield what the child's model yields; closing early ends the child, which starts anew."""
        head, outputs = self._ask({"op": "stream"}, inputs)
        ended = False
        try:
            while True:
                if "error" in head:
                    ended = True
                    raise ModelProcessFailed(head["error"])
                if head.get("end"):
                    ended = True
                    return
                yield outputs
                head, outputs = self._listen()
        finally:
            if not ended:
                self.kill()

    def kill(self) -> None:
        """End the child at once; a call that waits for it fails, the next one starts it again."""
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def close(self) -> None:
        """End the child and reap it."""
        self._closed = True
        self.kill()
        self._reap()

    def _ask(self, head: dict[str, Any], inputs: Tensors) -> tuple[dict[str, Any], Tensors]:
        if self._channel is None:
            self._restart()
        channel = self._channel
        assert channel is not None, "restarting sets it or raises"
        try:
            send(channel, head, inputs)
        except OSError as error:
            raise self._died() from error
        return self._listen()

    def _listen(self) -> tuple[dict[str, Any], Tensors]:
        channel = self._channel
        assert channel is not None, "asked before listening"
        try:
            return receive(channel)
        except (OSError, Gone) as error:
            raise self._died() from error

    def _start(self) -> None:
        self.starting_since = perf_counter()
        try:
            self._start_and_load()
        finally:
            self.started_at = perf_counter()
            self.starting_since = None

    def _start_and_load(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "prometheus_ai_runtime.hosting.worker"]
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._channel = ours
        request = self._request
        load = {
            "op": "load",
            "engine": self._engine,
            "path": str(request.path),
            "signature": signature_json(request.signature),
            "threads": request.threads,
            "device": request.device,
            "allow_pickle": request.allow_pickle,
            "options": dict(request.options),
        }
        try:
            head, _ = self._ask(load, {})
        except ModelProcessFailed as error:
            raise EngineError(f"{error} while it loaded {request.path}") from error
        if "error" in head:
            self.close()
            raise _KINDS.get(head["kind"], EngineError)(head["error"])
        self.signature = parse_signature(head["signature"], "signature")
        self.batchable = head["batchable"]
        self.missing_is_nan = head["missing_is_nan"]
        self.streams = head["streams"]
        self.predicts = head["predicts"]
        self.warnings = tuple(head["warnings"])

    def _restart(self) -> None:
        """Start again after a death, but never in a tight circle."""
        now = monotonic()
        if self._closed:
            raise ModelProcessFailed("the model was unloaded")
        if now < self._not_before:
            wait_s = self._not_before - now
            raise ModelProcessFailed(
                f"the model's process died {self._crashes} times; the next start is in {wait_s:.1f} s"
            )
        self._start()

    def _died(self) -> ModelProcessFailed:
        code = self._reap()
        self._crashes += 1
        if self._crashes > _CRASHES_FREE:
            hold_off_s = min(_HOLD_OFF_S_MAX, 2.0 ** (self._crashes - _CRASHES_FREE - 1))
            self._not_before = monotonic() + hold_off_s
        if code < 0:
            return ModelProcessFailed(f"the model's process died of {signal.Signals(-code).name}")
        return ModelProcessFailed(f"the model's process ended with exit code {code}")

    def _reap(self) -> int:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            return process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait(_END_S)


def start_isolated(engine: str, request: LoadRequest) -> IsolatedModel:
    """Start a process with the model in it; raises EngineError like the engine itself."""
    return IsolatedModel(engine, request)


def signature_json(signature: Signature | None) -> dict[str, Any] | None:
    """A signature in the configuration's form."""
    if signature is None:
        return None
    return {
        "inputs": [
            {"name": t.name, "datatype": t.datatype, "shape": list(t.shape)}
            for t in signature.inputs
        ],
        "outputs": [
            {"name": t.name, "datatype": t.datatype, "shape": list(t.shape)}
            for t in signature.outputs
        ],
        "columns": list(signature.columns),
    }
