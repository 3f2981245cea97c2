"""Pickles that would run code, made without running any."""

# The last six and the unknown package are those that deny-lists let through.
CALLABLES = (
    "os.system", "posix.system", "subprocess.Popen", "subprocess.check_output", "builtins.eval",
    "builtins.exec", "builtins.__import__", "builtins.getattr", "builtins.compile", "builtins.open",
    "runpy.run_path", "code.interact", "pty.spawn", "shutil.rmtree", "socket.create_connection",
    "webbrowser.open", "operator.attrgetter", "operator.methodcaller", "pickle.loads",
    "numpy.testing._private.utils.runstring", "torch.load", "joblib.load", "numpy.load",
    "importlib.import_module", "marshal.loads", "logging.config.dictConfig", "mailcap.findmatch",
    "site.execsitecustomize", "somebodys_package.anything", "sklearn.datasets.fetch_openml",
    "scipy.stats._distn_infrastructure.rv_continuous", "builtins.type",
)  # fmt: skip


def call(name: str, *arguments: str, protocol: int = 4) -> bytes:
    """Return a pickle whose loading calls a dotted name."""
    module, _, attribute = name.rpartition(".")
    if protocol == 0:
        texts = "".join(f"V{one}\n" for one in arguments)
        return f"c{module}\n{attribute}\n({texts}tR.".encode()
    head = bytes([0x80, protocol])
    body = text(module) + text(attribute) + b"\x93" if protocol >= 4 else (
        f"c{module}\n{attribute}\n".encode()
    )  # fmt: skip
    given = b"(" + b"".join(text(one) for one in arguments) + b"t"
    return head + body + given + b"R."


def text(value: str) -> bytes:
    """Return the operation that pushes a text."""
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data
