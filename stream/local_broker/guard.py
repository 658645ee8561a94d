"""Clean up after this process however it ends, also by kill -9.

A guard is a small shell that reads from a pipe whose other end only this process holds. End of file without the
word of release means that this process is gone, and the shell runs the clean-up. Unlike PR_SET_PDEATHSIG it does
not fire when merely the thread that started the child ends, and works on macOS too.
"""

import os
import subprocess

_SCRIPT = 'read -r word; [ "$word" = released ] || eval "$1"'


class Guard:
    """Runs the shell line `clean_up` when this process dies without having called `release`."""

    def __init__(self, clean_up: str) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "guard", clean_up],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C goes to the whole foreground group and must not end the guard
        )
        os.register_at_fork(after_in_child=self._close_pipe)  # a forked child must not hold the pipe open

    def _close_pipe(self) -> None:
        if self._shell.stdin and not self._shell.stdin.closed:
            self._shell.stdin.close()

    def release(self) -> None:
        """The clean-up is done or no longer wanted. May be called twice."""
        if self._shell.stdin and not self._shell.stdin.closed:
            self._shell.stdin.write(b"released\n")
            self._close_pipe()
        self._shell.wait()
