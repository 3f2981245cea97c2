"""Why a model could not be loaded."""


class EngineError(Exception):
    """A model could not be loaded; the message says what, why and what to do."""


class EngineMissing(EngineError):
    """The engine's library is not installed; the message names the extra to install."""


class UnsafeFormat(EngineError):
    """The file runs code when it is loaded and that was not allowed."""
