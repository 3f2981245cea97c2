"""From the files of an image to what could be better about it.

The files of every layer enter, with the image's settings and history; layers, packages and suggestions with bytes and
risk leave, as values and as a page.
Nothing is opened, built or run here: what a suggestion promises is proved elsewhere.
"""

from prometheus_ai.images.analysis import DEAD, analyze, dropped
from prometheus_ai.images.page import page
from prometheus_ai.images.python import Importable, importable

__all__ = ["DEAD", "Importable", "analyze", "dropped", "importable", "page"]
