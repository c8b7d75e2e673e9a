"""Exceptions of a traceback as results for reading: masked, cut, with the user's own frame apart. Pure."""

from tools.failure.frames import is_library, package_of, user_frame
from tools.failure.models import Frame, RaisedError
from tools.failure.told import PREFECT_TIMEOUTS, Told
from tools.failure.traceback import CodeFrame, ParsedTraceback, Raised
from tools.run_rows import shorten

MAX_MESSAGE = 1_000
MAX_PLACE = 200
# These hold the other as its repr, which for a SyntaxError is a tuple that nobody reads.
_WRAPPERS = frozenset({"ScriptError"})


def raised_error(said: Told, parsed: ParsedTraceback | None) -> RaisedError | None:
    """The exception that the state tells, with what the traceback adds; None when neither names one."""
    last = parsed.last if parsed else Raised("", "")
    if not (said.type or last.type):
        return None
    inmost = last.frames[-1] if last.frames else None
    return RaisedError(
        type=said.type or last.type,
        message=shorten(said.message if said.type else last.message, MAX_MESSAGE),
        user_frame=_shown(_user_frame_of(parsed)),
        library_frame=_shown(inmost) if inmost and is_library(inmost.file) else None,
    )


def root_cause(parsed: ParsedTraceback | None) -> RaisedError | None:
    """What the last exception came from; None where it came from nothing or says no more than the last.

    One that was merely being handled counts only when the user's code took part in it: libraries try things
    out, and the failures of that are no cause.
    """
    if parsed is None or parsed.last.type in PREFECT_TIMEOUTS:
        return None
    root = _root(parsed)
    if root is parsed.last or not root.type:
        return None
    if root.message and root.message in parsed.last.message and parsed.last.type not in _WRAPPERS:
        return None
    if root.frames and package_of(root.frames[-1].file) == "prefect":
        # What its client or loader was told before it said the same in words of its own.
        return None
    return raised_error(Told(root.type, root.message), ParsedTraceback((root,)))


def _root(parsed: ParsedTraceback) -> Raised:
    chain = parsed.chain
    first = len(chain) - 1
    while first and chain[first].relation == "cause":
        first -= 1
    return next((raised for raised in chain[:first] if user_frame(raised.frames)), chain[first])


def _user_frame_of(parsed: ParsedTraceback | None) -> CodeFrame | None:
    """Of the last exception; else of the nearest that has one, also among the parts of a group."""
    if parsed is None:
        return None
    for raised in (*reversed(parsed.chain), *parsed.parts):
        if found := user_frame(raised.frames):
            return found
    return None


def _shown(frame: CodeFrame | None) -> Frame | None:
    if frame is None:
        return None
    return Frame(
        file=shorten(frame.file, MAX_PLACE),
        line=frame.line,
        function=shorten(frame.function, MAX_PLACE),
        source=shorten(frame.source, MAX_PLACE) or None,
    )
