"""Lines that a person types: with editing and history, or plainly, where Ctrl-C only ends the question."""

import asyncio
import contextlib
import os
import sys
import termios
import threading

from bot.interrupts import interrupts

with contextlib.suppress(ImportError):
    # For what it does to input(): line editing, history, and a paste that stays one message.
    import readline  # noqa: F401

# What a terminal gives at once, a line: https://man7.org/linux/man-pages/man3/termios.3.html
MAX_LINE = 4096


class Interrupted(Exception):
    """Somebody pressed Ctrl-C instead of answering."""


async def read_line(prompt: str) -> str:
    """A line from the terminal. Raises EOFError at its end; a Ctrl-C ends the wait at once.

    The reading thread is a daemon: one of an executor would be waited for, and the program would not end
    before the next Enter.
    """
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def settle(text: str | None) -> None:
        if not line.done():
            line.set_exception(EOFError()) if text is None else line.set_result(text)

    shown = _printable(prompt)

    def read() -> None:
        try:
            text: str | None = input(shown)
        except EOFError:
            text = None
        with contextlib.suppress(RuntimeError):  # The loop has gone: somebody pressed Ctrl-C.
            loop.call_soon_threadsafe(settle, text)

    settings = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    threading.Thread(target=read, daemon=True).start()
    try:
        return await line
    finally:
        if settings:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)


async def read_answer(prompt: str) -> str:
    """A short answer from the terminal, which edits the line itself.

    Raises EOFError at its end, Interrupted at a Ctrl-C. No thread waits in `input()`: it could not be ended,
    and would take the line that the person types next.
    """
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    typed: list[bytes] = []
    with interrupts() as woken:
        # Not before: whoever sees the question may press Ctrl-C at once.
        sys.stdout.write(_printable(prompt))
        sys.stdout.flush()

        def read() -> None:
            typed.append(os.read(keyboard, MAX_LINE))
            woken.set()

        loop.add_reader(keyboard, read)
        try:
            await woken.wait()
        finally:
            loop.remove_reader(keyboard)
    if not typed:
        raise Interrupted
    if not typed[0]:
        raise EOFError
    return typed[0].decode(errors="replace").rstrip("\n")


def _printable(prompt: str) -> str:
    """Values of other people stand in it."""
    return "".join(character for character in prompt if character.isprintable() or character == "\n")
