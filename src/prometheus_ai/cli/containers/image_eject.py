"""``pai image eject``."""

import shutil
from pathlib import Path

import click

from prometheus_ai.cli import output
from prometheus_ai.cli.connect import as_json, command, with_client
from prometheus_ai.cli.containers.options import on_target, spec_file
from prometheus_ai.client.session import Client
from prometheus_ai.domain.errors import Conflict


@command()
@spec_file
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=Path("image"), show_default=True,
    help="Folder to write to; it must be empty or new.",
)  # fmt: skip
@on_target
@as_json
@with_client
def eject(client: Client, file: Path, folder: Path, target: str, *, as_json: bool) -> None:
    """Write everything that builds the same image without pai: Dockerfile, locks, settings, wheel and model.

    Examples:
      pai image eject pai.yaml --to image
    """
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not empty", hint="name a new folder with --to")
    files = client.image_eject(file, target=target)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content.is_dir():
            shutil.copytree(content, path)
        else:
            shutil.copyfile(content, path)
    if as_json:
        output.write_json({"folder": str(folder), "files": sorted(files)})
    else:
        output.write(
            f"wrote {len(files)} files to {folder}; {folder / 'README.md'} says how to build"
        )
