"""The bot's own log, on stderr: what libraries and tracebacks say passes the border for secrets too."""

import logging
import sys
import traceback
from types import TracebackType

from tools.redact import redact

# These two tell every request at INFO, addresses included.
_NOISY = ("httpx", "httpx2", "alembic")


class RedactingFormatter(logging.Formatter):
    """Masks the whole of a record, also its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def log_to_stderr(level: str) -> None:
    """Sets up the root logger, for a process that is a command."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def tell_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What Python would print of an error that nobody expected, without secrets; a `sys.excepthook`."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
