"""Signals that ask the process to end, as exceptions: files that are open are put in order."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


@contextmanager
def raised_by(*names: str, error: Callable[[int], BaseException]) -> Iterator[None]:
    """Let signals raise an error in the block; none disturbs its cleaning up afterwards.

    Parameters
    ----------
    *names : str
        The signals. Those that the system lacks, or that are ignored, as with nohup, or
        handled otherwise, are left as they are.
    error : callable
        Returns the exception for the number of a signal.
    """
    handled: dict[int, Any] = {}

    def end(number: int, frame: object) -> NoReturn:
        for other in handled:
            signal.signal(other, signal.SIG_IGN)
        raise error(number)

    if threading.current_thread() is threading.main_thread():  # others may set no handler
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                handled[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
