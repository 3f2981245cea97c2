"""Analysing images on this machine, put together from settings."""

import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_ai.adapters.builders.docker.builder import DockerBuilder
from prometheus_ai.adapters.builders.docker.network import BuildNetwork
from prometheus_ai.adapters.builders.docker.trial import DockerTrial
from prometheus_ai.adapters.docker_engine import DEFAULT_URL, DockerEngine
from prometheus_ai.adapters.scanners.images import LayeredImageFiles, LayeredImageScanner
from prometheus_ai.adapters.scanners.model_files import ModelFileScanner
from prometheus_ai.control.containers.proofs import Bench, prove
from prometheus_ai.domain.errors import NotFound
from prometheus_ai.domain.image_contents import ImageAnalysis, Risk
from prometheus_ai.images import analyze, page


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked about an image."""

    name: str
    """As a person named it."""
    archive: Path | None = None
    """A saved image; the engine is asked for ``reference`` when there is none."""
    reference: str = ""
    engine: str = DEFAULT_URL
    proves: bool = False
    risk: Risk = Risk.LOW
    command: tuple[str, ...] = ()


def analyze_image(wish: Wish, say: Callable[[str], None]) -> ImageAnalysis:
    """Look into an image, and prove the suggestions when that is wished.

    Raises:
        InvalidInput: it is no image.
        NotFound: the engine has none of this name.
        Unavailable: the engine or the disk cannot do it.
    """
    with tempfile.TemporaryDirectory(prefix="pai-analysis-") as name:
        folder = Path(name)
        archive = wish.archive or _saved(wish, folder, say)
        say("reading every file of every layer")
        files = LayeredImageFiles()
        contents = files.read(archive)
        say("searching every layer for credentials")
        secrets = LayeredImageScanner(ModelFileScanner().scan).scan(archive).secrets
        analysis = analyze(contents, wish.name, secrets)
        if not wish.proves:
            return analysis
        with closing(DockerEngine(wish.engine)) as engine:
            bench = Bench(
                files=files,
                trial=DockerTrial(engine),
                folder=folder,
                say=say,
                command=wish.command,
                risk=wish.risk,
            )
            return replace(analysis, proof=prove(bench, archive, contents, analysis))


def analysis_page(analysis: ImageAnalysis) -> str:
    """Return an analysis as a page."""
    return page(analysis)


def _saved(wish: Wish, folder: Path, say: Callable[[str], None]) -> Path:
    say(f"saving {wish.reference} from {wish.engine}")
    with closing(DockerEngine(wish.engine)) as engine:
        try:
            DockerBuilder(engine, BuildNetwork()).save(wish.reference, folder / "image.tar")
        except NotFound as error:
            raise NotFound(
                f"there is no file, backend or image {wish.name!r} (asked {wish.engine})",
                hint="`docker images` lists images; name another engine with --engine",
            ) from error
    return folder / "image.tar"
