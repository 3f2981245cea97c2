"""What can go wrong with a request.

RequestError
├── InvalidRequest     the client must change the request
├── NotFound           no such path, model or version
├── TooLarge           a declared limit was passed
├── Overloaded         the queue is full; try again after ``retry_after_s``
├── Unavailable        not ready: loading, draining, unloaded
├── DeadlinePassed     not finished in time
├── Cancelled          the client went away
└── ModelFailed        the model raised on these rows
"""


class RequestError(Exception):
    """A request that gets an error answer; the text is for the client."""

    code = "internal"

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.release = ""
        """Name and version of the model that was asked, where it is known."""


class InvalidRequest(RequestError):
    """The client must change the request."""

    code = "invalid"


class NotFound(RequestError):
    """No such path, model or version."""

    code = "not_found"


class TooLarge(RequestError):
    """A declared limit was passed."""

    code = "too_large"


class Overloaded(RequestError):
    """The queue is full."""

    code = "overloaded"


class Unavailable(RequestError):
    """The model or the server is not ready."""

    code = "unavailable"


class DeadlinePassed(RequestError):
    """The request was not finished in time."""

    code = "deadline"


class Cancelled(RequestError):
    """The client went away before the answer."""

    code = "cancelled"


class ModelFailed(RequestError):
    """The model raised on these rows."""

    code = "model_failed"


class StartFailed(Exception):
    """The server cannot start; ``exit_code`` is one of the documented ones."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
