"""The ``pai-runtime`` command."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from prometheus_ai_runtime import inspect
from prometheus_ai_runtime.config import (
    ENGINES,
    ConfigError,
    ServerConfig,
    parse_model,
    read_config,
)
from prometheus_ai_runtime.errors import StartFailed
from prometheus_ai_runtime.http.inspection import server_version
from prometheus_ai_runtime.log import log
from prometheus_ai_runtime.running import run
from prometheus_ai_runtime.secret_files import receive

EXIT_USAGE = 64
EXIT_FAULT = 70
_DEFAULT_VERSION = "1"
EXAMPLES = """\
examples:
  pai-runtime serve iris=iris.onnx
  pai-runtime serve iris=iris.onnx digits=digits.skops --port 9000 --grpc-port 9001
  pai-runtime serve iris:v1=old.onnx iris:v2=new.onnx --host 0.0.0.0
  pai-runtime serve scores=model.py:Scorer
  pai-runtime serve big=big.pt2 --engine torch --device cuda:0
  pai-runtime serve --config CONFIG.json
  pai-runtime inspect iris.onnx
"""
"""The end of the help, by which people learn faster than from options."""
_EXIT_CODES = """
exit codes:
  0   drained, or asked to stop
  64  wrong usage or configuration
  65  the model could not be loaded, warmed up or self-checked
  69  a library that is an extra is not installed
  70  a fault of the server itself
  73  the port or the announce file could not be taken
"""


class _Parser(argparse.ArgumentParser):
    """Ends with the documented exit code and a log line for a wrong command line."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        sys.stderr.flush()
        _fail(EXIT_USAGE, f"{message}; run `{self.prog} --help`")


class _Version(argparse.Action):
    """Looks the version up only when asked: a server should not spend its start on it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        sys.stdout.write(f"{parser.prog} {server_version()}\n")
        parser.exit(0)


def main() -> None:
    """Run the command line and exit."""
    if sys.argv[1:2] == ["inspect"]:
        sys.exit(inspect.main(sys.argv[2:]))
    options = _parser().parse_args()
    try:
        if options.secrets is not None:
            receive(options.secrets)
        code = run(_config(options), options)
    except (ConfigError, argparse.ArgumentTypeError) as error:
        _fail(EXIT_USAGE, str(error))
    except StartFailed as failure:
        _fail(failure.exit_code, str(failure))
    except Exception as fault:  # noqa: BLE001 - the last resort of the process
        _fail(EXIT_FAULT, f"a fault of the server: {type(fault).__name__}: {fault}")
    sys.exit(code)


def _parser() -> _Parser:
    shown: dict[str, Any] = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "epilog": EXAMPLES + _EXIT_CODES,
    }
    parser = _Parser(prog="pai-runtime", description="The PROMETHEUS model server.", **shown)
    parser.add_argument("--version", action=_Version, nargs=0, help="tell the version and end")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve one or more models", **shown)
    serve.add_argument(
        "models", nargs="*", metavar="NAME=PATH", help="a model to serve; NAME:VERSION=PATH also"
    )
    serve.add_argument("--engine", choices=ENGINES, help="default: detected from the file")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8080, help="HTTP port, 0 for any free one")
    serve.add_argument("--grpc-port", type=_port, help="gRPC port, 0 for any; off when absent")
    serve.add_argument("--config", type=Path, metavar="FILE", help="a CONFIG.json")
    serve.add_argument("--announce", type=Path, metavar="FILE", help="where to write the ports")
    serve.add_argument(
        "--secrets", type=Path, metavar="FOLDER",
        help="write the secrets that standard input brings, one JSON line, into this folder",
    )  # fmt: skip
    serve.add_argument(
        "--allow-pickle", action="store_true", help="load formats that run code when loaded"
    )
    serve.add_argument("--device", help="cpu, cuda or cuda:N, for the models named here (cpu)")
    commands.add_parser("inspect", help="tell what a model file is, and serve nothing")
    return parser


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is 0 to 65535, not {text!r}")
    return int(text)


def _config(options: argparse.Namespace) -> ServerConfig:
    listed = []
    for text in options.models:
        label, sign, path = text.partition("=")
        name, _, version = label.partition(":")
        if not sign or not path:
            raise ConfigError(f"a model is given as NAME=PATH, not {text!r}")
        raw = {
            "name": name,
            "version": version or _DEFAULT_VERSION,
            "path": str(Path(path).absolute()),
            "allow_pickle": options.allow_pickle,
        }
        if options.engine:
            raw["engine"] = options.engine
        if options.device:
            raw["device"] = options.device
        listed.append(parse_model(raw, f"{text}: "))
    config = read_config(options.config) if options.config else ServerConfig(models=())
    models = config.models + tuple(listed)
    if not models:
        raise ConfigError("no model given; name one as NAME=PATH or in --config")
    labels = [m.label for m in models]
    for model in models:
        if labels.count(model.label) > 1:
            raise ConfigError(
                f"two models are called `{model.name}` in version `{model.version}`; "
                f"rename one, or serve it beside the other as {model.name}:2=PATH"
            )
    return dataclasses.replace(config, models=models)


def _fail(code: int, message: str) -> NoReturn:
    log("start_failed", "error", code=code, error=message)
    sys.stderr.flush()
    # Libraries' exit handlers may print or crash; the line above must stay the last.
    os._exit(code)
