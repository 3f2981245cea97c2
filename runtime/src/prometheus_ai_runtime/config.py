"""What the server is told: models, batching, limits, timeouts. Unknown fields are errors that name the field."""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from prometheus_ai_runtime.signature import DATATYPES, Signature, TensorSpec

ENGINES = ("onnx", "sklearn", "xgboost", "lightgbm", "torch", "huggingface", "python")

NON_FINITE = ("reject", "allow", "engine")
COST_NAMES = ("rows", "elements", "pixels", "tokens", "bytes", "words")

BUSY_POLL_US_MAX = 1000.0


class ConfigError(Exception):
    """A configuration that cannot be used; the message names the field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batching:
    """How requests are grouped; every bound is per model."""

    rows_max: int = 32
    wait_ms_max: float = 0.0
    """Longest time an idle engine waits for more rows; 0 runs whatever is queued."""
    queue_rows_max: int = 1024
    preferred_rows: tuple[int, ...] = ()
    """Batch sizes to stop growing at, ascending; empty means any size."""
    latency_ms_max: float | None = None
    """A batch never grows beyond what the learned curve says fits in this."""
    cost: str = "rows"
    """What a row costs: ``rows``, ``elements`` (also ``pixels``, ``tokens``), ``bytes`` or ``words``."""
    cost_max: int | None = None
    """Largest padded cost of one batch, in units of ``cost``."""
    pad: Mapping[str, float] = field(default_factory=dict)
    """Inputs whose free dimensions are padded to the longest row, with the fill value."""
    tenant_rows_max: int | None = None
    """Most rows one tenant may have queued."""
    inline_us_max: float | None = None
    """Batches expected to be shorter than this run on the event loop, without a thread hop.

    400 by default for engines of compiled code; 0 for those that run a user's Python.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds on what a client may send."""

    request_bytes_max: int = 16 * 1024 * 1024
    head_bytes_max: int = 16 * 1024
    body_bytes_total_max: int = 256 * 1024 * 1024
    """Request bodies being received at one time, together."""
    connections_max: int = 1024
    pipelined_max: int = 64
    non_finite: str = "engine"
    """NaN and infinity in inputs: ``reject``, ``allow``, or ``engine`` (allowed where it means missing)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """How long things may take."""

    request_s: float = 30.0
    startup_s: float = 120.0
    drain_s: float = 30.0
    progress_s: float = 30.0
    head_s: float = 10.0
    """From the first byte of a request head to its last."""
    body_s: float = 30.0
    """From the end of a request head to the end of its body."""
    idle_s: float = 75.0
    """How long a connection without a request is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Requests are kept, until the control plane fetches them to send them again."""

    request_bytes_max: int = 65536
    """Longer bodies are not kept."""
    redact: tuple[str, ...] = ()
    """Inputs and JSON fields whose values are blanked before anything is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """One model to serve."""

    name: str
    version: str
    path: Path
    release: str | None = None
    engine: str | None = None
    allow_pickle: bool = False
    signature: Signature | None = None
    batching: Batching = field(default_factory=Batching)
    device: str = "cpu"
    options: Mapping[str, Any] = field(default_factory=dict)
    warm_up: Mapping[str, Any] | None = None
    """An inference request body used for warm-up in place of zeros."""
    isolation: str = "none"
    """``none`` or ``process``: its own killable worker process."""
    memory_bytes: int | None = None
    """Declared memory; measured at load when absent."""
    pinned: bool = False
    """Whether the model is never evicted to make room."""

    @property
    def label(self) -> str:
        """Name and version, as responses carry it."""
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig:
    """One server and its models."""

    models: tuple[ModelConfig, ...]
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    threads: int | None = None
    repository: Path | None = None
    """The folder from which clients may load further models; none when absent."""
    memory_bytes_max: int | None = None
    """Memory for all models together; the least recently used unpinned model makes room."""
    recording: Recording | None = None
    """Keep requests to be sent again; nothing is kept when absent."""
    busy_poll_us: float = 50.0
    """How long to look for the next event before sleeping, while they come quickly; 0 always sleeps.

    Without a second core to run on, the server always sleeps.
    """


_SERVER_FIELDS = (
    "limits",
    "timeouts",
    "threads",
    "repository",
    "memory_bytes_max",
    "recording",
    "busy_poll_us",
)


def read_config(path: Path) -> ServerConfig:
    """Read CONFIG.json.

    Raises ConfigError when the file cannot be read, is not JSON, or has a wrong or unknown field.
    """
    try:
        raw = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"the configuration {path} is not JSON: {error}") from error
    return parse_config(raw)


def parse_config(raw: Any) -> ServerConfig:
    """Turn a decoded CONFIG.json into a ServerConfig: one model at the top level, or a list in ``models``."""
    if not isinstance(raw, dict):
        raise ConfigError("the configuration must be a JSON object")
    server = {key: raw[key] for key in _SERVER_FIELDS if key in raw}
    rest = {key: value for key, value in raw.items() if key not in _SERVER_FIELDS}
    if "models" not in rest:
        models: tuple[ModelConfig, ...] = (parse_model(rest, ""),)
    else:
        listed = rest.pop("models")
        if rest:
            raise ConfigError(f"unknown field `{next(iter(rest))}` beside `models`")
        if not isinstance(listed, list):
            raise ConfigError("`models` must be a list")
        models = tuple(parse_model(item, f"models[{i}].") for i, item in enumerate(listed))
    config = typing.cast(ServerConfig, _decode(ServerConfig, server, "", models=models))
    if config.limits.non_finite not in NON_FINITE:
        known = ", ".join(NON_FINITE)
        raise ConfigError(f"`limits.non_finite` is {config.limits.non_finite!r}; known: {known}")
    if not 0 <= config.busy_poll_us <= BUSY_POLL_US_MAX:
        raise ConfigError(
            f"`busy_poll_us` is {config.busy_poll_us:g}; it is from 0 to {BUSY_POLL_US_MAX:g}"
        )
    return config


def parse_model(raw: Any, where: str) -> ModelConfig:
    """Turn one model's object into a ModelConfig; ``where`` prefixes field names in errors."""
    model = typing.cast(ModelConfig, _decode(ModelConfig, raw, where))
    if model.engine is not None and model.engine not in ENGINES:
        raise ConfigError(f"`{where}engine` is {model.engine!r}; known: {', '.join(ENGINES)}")
    if model.batching.cost not in COST_NAMES:
        known = ", ".join(COST_NAMES)
        raise ConfigError(f"`{where}batching.cost` is {model.batching.cost!r}; known: {known}")
    if model.batching.cost != "rows" and model.batching.cost_max is None:
        raise ConfigError(f"`{where}batching.cost` bounds nothing without `cost_max`; give both")
    _check_preferred_rows(model.batching, f"{where}batching.preferred_rows")
    if model.isolation not in ("none", "process"):
        raise ConfigError(f"`{where}isolation` must be none or process, not {model.isolation!r}")
    for label, value in (("name", model.name), ("version", model.version)):
        if not value or not all(c.isalnum() or c in "._-" for c in value) or not value.isascii():
            raise ConfigError(f"`{where}{label}` must be letters, digits, '.', '_', '-': {value!r}")
    return model


def _check_preferred_rows(batching: Batching, where: str) -> None:
    sizes = batching.preferred_rows
    if list(sizes) != sorted(set(sizes)):
        raise ConfigError(f"`{where}` must ascend: {list(sizes)}")
    if sizes and sizes[-1] > batching.rows_max:
        raise ConfigError(f"`{where}` has {sizes[-1]}, more than rows_max = {batching.rows_max}")


def parse_signature(raw: Any, where: str) -> Signature:
    """Turn the ``signature`` object into a Signature."""
    if not isinstance(raw, dict):
        raise ConfigError(f"`{where}` must be an object")
    extra = set(raw) - {"inputs", "outputs", "columns"}
    if extra:
        raise ConfigError(f"unknown field `{where}.{min(extra)}`")
    sides = []
    for side in ("inputs", "outputs"):
        listed = raw.get(side)
        if not isinstance(listed, list) or not listed:
            raise ConfigError(f"`{where}.{side}` must be a list of tensors")
        sides.append(tuple(_tensor(t, f"{where}.{side}[{i}]") for i, t in enumerate(listed)))
    columns = raw.get("columns", [])
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise ConfigError(f"`{where}.columns` must be a list of names")
    return Signature(inputs=sides[0], outputs=sides[1], columns=tuple(columns))


def _tensor(raw: Any, where: str) -> TensorSpec:
    if not isinstance(raw, dict) or set(raw) != {"name", "datatype", "shape"}:
        raise ConfigError(f"`{where}` must have exactly name, datatype and shape")
    name, datatype, shape = raw["name"], raw["datatype"], raw["shape"]
    if not isinstance(name, str) or not name:
        raise ConfigError(f"`{where}.name` must be a name")
    if datatype not in DATATYPES:
        raise ConfigError(f"`{where}.datatype` is {datatype!r}; known: {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or not all(
        type(n) is int and (n >= 0 or n == -1) for n in shape
    ):
        raise ConfigError(f"`{where}.shape` must be a list of sizes, -1 for a free one")
    return TensorSpec(name=name, datatype=datatype, shape=tuple(shape))


def _decode(cls: Any, raw: Any, where: str, **given: Any) -> Any:
    if not isinstance(raw, dict):
        raise ConfigError(f"`{where.rstrip('.')}` must be an object")
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in given}
    for key in raw:
        if key not in fields:
            raise ConfigError(f"unknown field `{where}{key}`; known: {', '.join(fields)}")
    values = {key: _value(fields[key].type, raw[key], f"{where}{key}") for key in raw}
    missing = [
        f.name
        for f in fields.values()
        if f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and f.name not in values
    ]
    if missing:
        raise ConfigError(f"missing field `{where}{missing[0]}`")
    return cls(**values, **given)


def _value(kind: Any, raw: Any, where: str) -> Any:
    if isinstance(kind, types.UnionType):
        inner = [a for a in typing.get_args(kind) if a is not types.NoneType]
        return None if raw is None else _value(inner[0], raw, where)
    if dataclasses.is_dataclass(kind):
        return parse_signature(raw, where) if kind is Signature else _decode(kind, raw, f"{where}.")
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(raw, list):
            raise ConfigError(f"`{where}` must be a list")
        item = typing.get_args(kind)[0]
        return tuple(_value(item, value, f"{where}[{i}]") for i, value in enumerate(raw))
    if origin is Mapping:
        if not isinstance(raw, dict):
            raise ConfigError(f"`{where}` must be an object")
        item = typing.get_args(kind)[1]
        read = _fill if item is float else functools.partial(_value, item)
        return {key: read(value, f"{where}.{key}") for key, value in raw.items()}
    return _scalar(kind, raw, where)


def _fill(raw: Any, where: str) -> float:
    """A value to pad with, which may be negative: -100 is what many losses and models pass over."""
    if type(raw) not in (int, float):
        raise ConfigError(f"`{where}` must be a number, not {raw!r}")
    return float(raw)


def _scalar(kind: Any, raw: Any, where: str) -> Any:
    if kind is Any:
        return raw
    if kind is Path and isinstance(raw, str) and raw:
        return Path(raw)
    if kind is float and type(raw) in (int, float) and raw >= 0:
        return float(raw)
    if kind is int and type(raw) is int and raw > 0:
        return raw
    if kind in (str, bool) and type(raw) is kind:
        return raw
    wanted = {float: "a number, not negative", int: "a positive whole number", Path: "a path"}
    raise ConfigError(f"`{where}` must be {wanted.get(kind, kind.__name__)}, not {raw!r}")
