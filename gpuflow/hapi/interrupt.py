"""Interrupts: Ctrl-C waits until the step that is being taken is done."""
from __future__ import annotations

import signal
import threading


class Interrupts:
    """While it is entered, the first Ctrl-C only raises a flag, for `check` to act on; a second one interrupts at once.

    In a thread that is not the main one, and under a handler of the program's own, nothing is changed.
    """

    def __init__(self):
        self.asked, self._mine = False, False

    def __enter__(self) -> Interrupts:
        self._mine = threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        if self._mine:
            signal.signal(signal.SIGINT, self._seen)
        return self

    def __exit__(self, *error) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _seen(self, number, frame) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed."""
        if self.asked:
            raise KeyboardInterrupt
