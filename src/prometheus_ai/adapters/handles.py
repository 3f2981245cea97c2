"""Waiting for handles, and ending the process behind one.

Not by ``select.select``: it takes no descriptor above 1023, and a control plane has many.
"""

import contextlib
import select
import signal

KILL_WAIT_S = 5.0
"""How long the kernel may take to end a process that was killed."""


def readable(*handles: int, within_s: float) -> set[int]:
    """Return which handles have something to read, or came to an end, once one has or time is up."""
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    return {handle for handle, _ in poll.poll(within_s * 1000)}


def end_process(pidfd: int, grace_s: float) -> None:
    """Ask a process to end, and kill it when it has not after ``grace_s``."""
    for number, bound_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_WAIT_S)):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)
        if readable(pidfd, within_s=bound_s):
            return
