"""Whether requests written for one release are understood by another; from their declared signatures."""

from collections.abc import Iterator

from prometheus_ai.domain.spec import Signature, TensorSpec

_WHOLE = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"})
_SMALL = frozenset({"INT8", "INT16", "UINT8", "UINT16"})
ACCEPTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(_WHOLE, _WHOLE),
    "FP32": _SMALL | {"FP16"},
    "FP64": _SMALL | {"INT32", "UINT32", "FP16", "FP32"},
}
"""Declared datatype to what the model server also takes for it, without loss."""


def misunderstandings(old: Signature, new: Signature) -> tuple[str, ...]:
    """Return why requests for ``old`` would be refused by ``new``, one sentence an input; empty when none would."""
    return tuple(_reasons(old, new))


def _reasons(old: Signature, new: Signature) -> Iterator[str]:
    taken = {tensor.name: tensor for tensor in new.inputs}
    for sent in old.inputs:
        wanted = taken.pop(sent.name, None)
        if wanted is None:
            known = ", ".join(tensor.name for tensor in new.inputs)
            yield f"input {sent.name!r} is sent, and the new model takes {known}"
        elif not (
            sent.datatype == wanted.datatype
            or sent.datatype in ACCEPTS.get(wanted.datatype, frozenset())
        ):
            yield f"input {sent.name!r} is sent as {sent.datatype}, and the new model takes {wanted.datatype}"
        elif not _fits(sent, wanted):
            shapes = f"{list(sent.shape)}, and the new model takes {list(wanted.shape)}"
            yield f"input {sent.name!r} is sent in shape {shapes}"
    for name in taken:
        yield f"the new model also needs input {name!r}, which is not sent"


def _fits(sent: TensorSpec, wanted: TensorSpec) -> bool:
    return len(sent.shape) == len(wanted.shape) and all(
        size in (-1, given) for given, size in zip(sent.shape, wanted.shape, strict=True)
    )
