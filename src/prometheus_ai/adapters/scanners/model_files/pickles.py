"""A walk over pickle operations that looks up nothing and calls nothing.

Every operation is interpreted on symbols. A name that is not allowed is a finding, and so is every call whose
callable is not an allowed name itself: what an allowed call returns may not be called.
"""

import codecs
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_ai.adapters.scanners.model_files.allowed import AllowList
from prometheus_ai.adapters.scanners.model_files.notes import Notes
from prometheus_ai.adapters.scanners.model_files.source import Budget, Source, Unreadable
from prometheus_ai.adapters.scanners.model_files.symbols import (
    ITEMS_MAX,
    MARK,
    UNKNOWN,
    Dict,
    Made,
    Name,
    items,
    text,
)

PROTOCOL_MAX = 5
INTEGER_BYTES_MAX = 1024
MEMO_MAX = 20_000_000
_BATCH = 1024

OnBuild = Callable[["PickleWalk", Any], None]


class PickleWalk:
    """One pickle stream, from its first operation to STOP."""

    def __init__(
        self,
        source: Source,
        allow: AllowList,
        notes: Notes,
        budget: Budget,
        *,
        on_build: OnBuild | None = None,
        persistent: Callable[[Any], None] | None = None,
    ) -> None:
        self.source = source
        self.notes = notes
        self._allow = allow
        self._budget = budget
        self._on_build = on_build
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._remembered: Mapping[int, Any] = {}
        self._protocol = 0
        self._steps: dict[int, Callable[[], None]] = self._table()

    def run(self) -> Any:
        """Walk to STOP and return what is left on the stack.

        Raises:
            Unreadable: the stream is no pickle, ends early or costs more than it may.
        """
        steps, byte, count = self._steps, self.source.byte, 0
        while True:
            operation = byte()
            if operation == 0x2E:
                return self._pop()
            step = steps.get(operation)
            if step is None:
                raise Unreadable(
                    f"0x{operation:02x} at byte {self.source.position - 1} is no pickle operation"
                )
            step()
            count += 1
            if count == _BATCH:
                self._budget.spend_operations(count)
                count = 0

    def fork(self, source: Source, notes: Notes) -> "PickleWalk":
        """Return a walk that goes on from here with other bytes."""
        other = PickleWalk(source, self._allow, notes, self._budget)
        other._stack.extend(self._stack)
        other._remembered = self._memo
        other._protocol = self._protocol
        return other

    @property
    def top(self) -> Any:
        """The value on top of the stack."""
        if not self._stack:
            raise Unreadable("the pickle takes from an empty stack")
        return self._stack[-1]

    def _pop(self) -> Any:
        if not self._stack or self._stack[-1] is MARK:
            raise Unreadable("the pickle takes from an empty stack")
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        stack = self._stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is MARK:
                found = stack[index + 1 :]
                del stack[index:]
                return found
        raise Unreadable("the pickle closes a group that was not opened")

    # What an operation means; the table below says which is which.

    def _look_up(self, module: str, name: str) -> Any:
        if not self._allow.allows(module, name, self._protocol):
            self.notes.unsafe(
                f"names {module}.{name}", f"byte {self.source.position}", f"{module}.{name}"
            )
        return Name(module, name)

    def _call(self, callee: Any, arguments: Any) -> Any:
        if isinstance(callee, Name):
            return Made(callee, arguments)
        self.notes.unsafe(f"calls {_shown(callee)}", f"byte {self.source.position}")
        return UNKNOWN

    def _reduce(self) -> None:
        arguments, callee = self._pop(), self._pop()
        self._stack.append(self._call(callee, arguments))

    def _newobj_ex(self) -> None:
        self._pop()
        self._reduce()

    def _object(self) -> None:
        found = self._pop_mark()
        if not found:
            raise Unreadable("the pickle makes an object of nothing")
        self._stack.append(self._call(found[0], items(found[1:])))

    def _instance(self) -> None:
        module, name = self._line(), self._line()
        self._stack.append(self._call(self._look_up(module, name), items(self._pop_mark())))

    def _global(self) -> None:
        module, name = self._line(), self._line()
        self._stack.append(self._look_up(module, name))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if isinstance(name, str) and isinstance(module, str):
            self._stack.append(self._look_up(module, name))
            return
        self.notes.unsafe("looks up a name that it computes", f"byte {self.source.position}")
        self._stack.append(UNKNOWN)

    def _build(self) -> None:
        state = self._pop()
        self._refuse_name(self.top, "changes")
        if isinstance(self.top, Made):
            self.top.state = state
            if self._on_build is not None:
                self._on_build(self, self.top)

    def _refuse_name(self, value: Any, verb: str) -> None:
        if isinstance(value, Name):
            self.notes.unsafe(f"{verb} {value} itself", f"byte {self.source.position}")

    def _append(self) -> None:
        self._pop()
        self._refuse_name(self.top, "adds to")

    def _append_all(self) -> None:
        self._pop_mark()
        self._refuse_name(self.top, "adds to")

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._keep([key, value])

    def _set_items(self) -> None:
        self._keep(self._pop_mark())

    def _keep(self, pairs: list[Any]) -> None:
        if len(pairs) % 2:
            raise Unreadable("the pickle gives a key without a value")
        held = self.top
        self._refuse_name(held, "adds to")
        if isinstance(held, Dict):
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                if len(held.items) >= ITEMS_MAX:
                    break
                if isinstance(key, str):
                    held.items[key] = value

    def _dict(self) -> None:
        pairs = self._pop_mark()
        self._stack.append(Dict())
        self._keep(pairs)

    def _persistent_id(self) -> None:
        self._took_persistent(self._pop())

    def _persistent_line(self) -> None:
        self._took_persistent(self._line())

    def _took_persistent(self, value: Any) -> None:
        if self._persistent is None:
            self.notes.unsafe(
                "refers to something outside the file", f"byte {self.source.position}"
            )
        else:
            self._persistent(value)
        self._stack.append(UNKNOWN)

    def _extension(self, size: int) -> Callable[[], None]:
        def step() -> None:
            self.source.read(size)
            self.notes.unsafe("names a registered extension", f"byte {self.source.position}")
            self._stack.append(UNKNOWN)

        return step

    def _protocol_is(self) -> None:
        self._protocol = self.source.byte()
        if self._protocol > PROTOCOL_MAX:
            raise Unreadable(f"pickle protocol {self._protocol} is unknown")

    def _store(self, index: int) -> None:
        if len(self._memo) >= MEMO_MAX:
            raise Unreadable(f"the pickle remembers more than {MEMO_MAX} values", "bomb")
        self._memo[index] = self.top

    def _fetch(self, index: int) -> None:
        if index in self._memo:
            self._stack.append(self._memo[index])
        elif index in self._remembered:
            self._stack.append(self._remembered[index])
        else:
            raise Unreadable(f"the pickle recalls value {index}, which it never stored")

    # Operands.

    def _line(self) -> str:
        return _decoded(self.source.line(), "utf-8")

    def _number(self) -> int:
        digits = self.source.line().rstrip(b"L")
        if len(digits) > INTEGER_BYTES_MAX:
            raise Unreadable("an integer in the pickle is absurdly long", "bomb")
        try:
            return int(digits)
        except ValueError as error:
            raise Unreadable("an integer in the pickle is not one") from error

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self.source.read(size), "little")

    def _long(self, size: int) -> int:
        length = self._unsigned(size)
        if length > INTEGER_BYTES_MAX:
            raise Unreadable("an integer in the pickle is absurdly long", "bomb")
        return int.from_bytes(self.source.read(length), "little", signed=True)

    def _text(self, size: int) -> Any:
        length = self._unsigned(size)
        if length > 4096:
            self.source.skip(length)
            return UNKNOWN
        return text(_decoded(self.source.read(length), "utf-8", "surrogatepass"))

    def _bytes(self, size: int) -> Any:
        self.source.skip(self._unsigned(size))
        return UNKNOWN

    def _old_text(self, size: int) -> Any:
        length = self._unsigned(size)
        if length > 4096:
            self.source.skip(length)
            return UNKNOWN
        return text(self.source.read(length).decode("latin-1"))

    def _quoted(self) -> Any:
        line = self.source.line().strip()
        if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in b"'\"":
            raise Unreadable("a text in the pickle is not quoted")
        return text(codecs.escape_decode(line[1:-1])[0].decode("latin-1"))

    def _raw_unicode(self) -> Any:
        return text(_decoded(self.source.line(), "raw-unicode-escape"))

    def _float_line(self) -> float:
        try:
            return float(self.source.line())
        except ValueError as error:
            raise Unreadable("a number in the pickle is not one") from error

    def _int_line(self) -> Any:
        line = self.source.peek(3)
        if line in (b"00\n", b"01\n"):
            self.source.read(3)
            return line == b"01\n"
        return self._number()

    def _skip(self, count: int) -> Any:
        self.source.skip(count)
        return UNKNOWN

    def _frame(self) -> None:
        self._unsigned(8)

    # The table.

    def _table(self) -> dict[int, Callable[[], None]]:
        return {
            **self._values(),
            **self._shuffles(),
            0x52: self._reduce, 0x81: self._reduce, 0x92: self._newobj_ex,
            0x6F: self._object, 0x69: self._instance, 0x63: self._global,
            0x93: self._stack_global, 0x62: self._build, 0x61: self._append,
            0x65: self._append_all, 0x90: self._append_all, 0x73: self._set_item,
            0x75: self._set_items, 0x64: self._dict, 0x51: self._persistent_id,
            0x50: self._persistent_line, 0x82: self._extension(1), 0x83: self._extension(2),
            0x84: self._extension(4), 0x80: self._protocol_is, 0x95: self._frame,
        }  # fmt: skip

    def _values(self) -> dict[int, Callable[[], None]]:
        def push(value: Callable[[], Any]) -> Callable[[], None]:
            return lambda: self._stack.append(value())

        source = self.source
        return {
            0x4E: push(lambda: None), 0x88: push(lambda: True), 0x89: push(lambda: False),
            0x49: push(self._int_line), 0x4C: push(self._number),
            0x4A: push(lambda: int.from_bytes(source.read(4), "little", signed=True)),
            0x4B: push(source.byte), 0x4D: push(lambda: self._unsigned(2)),
            0x8A: push(lambda: self._long(1)), 0x8B: push(lambda: self._long(4)),
            0x46: push(self._float_line), 0x47: push(lambda: self._skip(8)),
            0x53: push(self._quoted), 0x54: push(lambda: self._old_text(4)),
            0x55: push(lambda: self._old_text(1)), 0x56: push(self._raw_unicode),
            0x58: push(lambda: self._text(4)), 0x8C: push(lambda: self._text(1)),
            0x8D: push(lambda: self._text(8)), 0x42: push(lambda: self._bytes(4)),
            0x43: push(lambda: self._bytes(1)), 0x8E: push(lambda: self._bytes(8)),
            0x96: push(lambda: self._bytes(8)), 0x97: push(self._outside_buffer),
            0x7D: push(Dict), 0x5D: push(lambda: UNKNOWN), 0x8F: push(lambda: UNKNOWN),
            0x29: push(tuple), 0x28: push(lambda: MARK),
        }  # fmt: skip

    def _outside_buffer(self) -> Any:
        self.notes.unsafe("refers to something outside the file", f"byte {self.source.position}")
        return UNKNOWN

    def _shuffles(self) -> dict[int, Callable[[], None]]:
        stack, unsigned = self._stack, self._unsigned

        def tuple_of(count: int) -> Callable[[], None]:
            def step() -> None:
                found = [self._pop() for _ in range(count)]
                stack.append(tuple(reversed(found)))

            return step

        def gather(made: Callable[[list[Any]], Any]) -> Callable[[], None]:
            return lambda: stack.append(made(self._pop_mark()))

        return {
            0x30: self._drop, 0x31: self._drop_group,
            0x32: lambda: stack.append(self.top), 0x74: gather(items),
            0x85: tuple_of(1), 0x86: tuple_of(2), 0x87: tuple_of(3),
            0x6C: gather(lambda _: UNKNOWN), 0x91: gather(lambda _: UNKNOWN),
            0x68: lambda: self._fetch(unsigned(1)), 0x6A: lambda: self._fetch(unsigned(4)),
            0x67: lambda: self._fetch(self._number()),
            0x71: lambda: self._store(unsigned(1)), 0x72: lambda: self._store(unsigned(4)),
            0x70: lambda: self._store(self._number()),
            0x94: lambda: self._store(len(self._memo) + len(self._remembered)), 0x98: lambda: None,
        }  # fmt: skip

    def _drop_group(self) -> None:
        self._pop_mark()

    def _drop(self) -> None:
        if not self._stack:
            raise Unreadable("the pickle takes from an empty stack")
        self._stack.pop()


def _shown(value: Any) -> str:
    if isinstance(value, Made):
        return f"what {value.by} returned"
    return f"a value that is no allowed name ({type(value).__name__.strip('_').lower()})"


def _decoded(data: bytes, encoding: str, errors: str = "strict") -> str:
    try:
        return data.decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise Unreadable("a text in the pickle is not UTF-8") from error
