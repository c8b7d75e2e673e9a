"""What a failed answer of Prefect means to a person: status and body to the error tree."""

import json
from typing import Any

from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from tools.errors import NotFound

# Enough for a validation message; a server may put a whole HTML page there.
MAX_DETAIL = 400

_TOO_BUSY = (408, 425, 429, 502, 503, 504)


class ServerError(ExpectedError):
    """The server broke down over a request (500); another request may do."""

    code = "server_failed"


def error_for(status: int, body: str, *, address: str, is_cloud: bool) -> ExpectedError:
    """The error to raise for an answer of `status` (3xx to 5xx) from the server at `address`."""
    detail = _detail(body)
    if status == 401:
        return Refused(f"Prefect at {address} does not accept these credentials.", _credentials_fix(is_cloud))
    if status == 403:
        return _forbidden(detail, address=address, is_cloud=is_cloud)
    if status == 404:
        return _missing(detail, address)
    if status in _TOO_BUSY:
        message = f"Prefect at {address} is too busy or not ready ({status})."
        return Unreachable(message, "Try again in a minute.")
    if status >= 500:
        return ServerError(
            f"Prefect at {address} failed inside ({status}).", "Look at the server's own log for the cause."
        )
    if status < 400:
        return BadInput(
            f"Prefect at {address} answered with a redirect ({status}) instead of data.",
            "Set PREFECT_API_URL to the final address: the right scheme (http or https), ending in /api.",
        )
    return BadInput(f"Prefect refused the request: {detail or status}.".replace("..", "."))


def not_prefect(address: str) -> ExpectedError:
    return BadInput(
        f"What answers at {address} does not speak Prefect's API.",
        "Check PREFECT_API_URL: host, port and the path, which ends in /api.",
    )


def _credentials_fix(is_cloud: bool) -> str:
    if is_cloud:
        return "Set PREFECT_API_KEY to a valid key (it may have expired)."
    return "Set PREFECT_API_AUTH_STRING to the server's user:password (PREFECT_API_KEY is for Prefect Cloud)."


def _forbidden(detail: str, *, address: str, is_cloud: bool) -> ExpectedError:
    said = f": {detail}" if detail else ""
    fix = "Ask for a role in that workspace which allows it." if is_cloud else "Check the server's settings."
    return Refused(f"Prefect at {address} does not allow this{said}.".replace("..", "."), fix)


def _missing(detail: str, address: str) -> ExpectedError:
    if detail in ("", "Not Found"):
        return NotFound(
            f"Prefect at {address} has nothing under that address.",
            "If everything is missing, PREFECT_API_URL has a wrong path or the server is older than 3.0.",
        )
    fix = "It may have been deleted; list what there is."
    return NotFound(f"Prefect says: {detail}.".replace("..", "."), fix)


def _detail(body: str) -> str:
    """The server's own words, out of the three shapes it has for errors; never the echoed request."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(parsed, dict):
        return ""
    text = parsed.get("detail") or _field_errors(parsed.get("exception_detail"))
    text = text or parsed.get("exception_message")
    return text[:MAX_DETAIL] if isinstance(text, str) else ""


def _field_errors(details: Any) -> str:
    if not isinstance(details, list):
        return ""
    rows = [row for row in details if isinstance(row, dict)]
    return "; ".join(f"{'.'.join(map(str, row.get('loc', ())))}: {row.get('msg', '')}" for row in rows)
