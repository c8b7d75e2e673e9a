"""Where Prefect is and how to sign in: URL and credentials, always from one source as a pair.

Prefect's own client mixes settings one by one, so that a URL from the environment is combined with
the key of a profile and the key goes to the wrong server. Here a source gives both or neither.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from knowledge.errors import BadInput
from tools.links import ui_root

# The profiles that Prefect ships itself; choosing one with `prefect profile use local` writes only its name.
BUILT_IN_PROFILES: Mapping[str, Mapping[str, str]] = {
    "local": {"PREFECT_API_URL": "http://127.0.0.1:4200/api"},
    "ephemeral": {},
    "test": {},
    "cloud": {},
}
TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "on"})


@dataclass(frozen=True, slots=True)
class PrefectConnection:
    """One Prefect server or Cloud workspace; secrets do not show in its repr."""

    api_url: str
    """Without a trailing slash; ends in `/api`, or in `/workspaces/<id>` on Cloud."""
    source: str
    """Where it was found, worded to follow `from`: `the environment`, `profile 'prod' in …`."""
    ui_url: str
    api_key: SecretStr | None = None
    auth_string: SecretStr | None = None
    headers: Mapping[str, SecretStr] = field(default_factory=dict)
    ca_file: str = ""
    verify_tls: bool = True
    notes: tuple[str, ...] = ()
    """What a person should know about how the connection was chosen."""

    @property
    def is_cloud(self) -> bool:
        return is_cloud_url(self.api_url)

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.api_url).netloc


def is_cloud_url(api_url: str) -> bool:
    return "/accounts/" in api_url and "/workspaces/" in api_url


def resolve_connection(environ: Mapping[str, str], home: Path) -> PrefectConnection | None:
    """The connection from `environ`, else from the active profile below `home`; None when neither has one.

    Raises BadInput for a URL that cannot be right and for profiles that cannot be read.
    """
    if environ.get("PREFECT_API_URL", "").strip():
        return _connection(environ, "the environment")
    path = _profiles_path(environ, home)
    name, settings = _active_profile(path, environ.get("PREFECT_PROFILE", ""))
    if not settings.get("PREFECT_API_URL", "").strip():
        return None
    return _connection(settings, f"profile {name!r} in {path}", _ignored(environ))


def _ignored(environ: Mapping[str, str]) -> tuple[str, ...]:
    names = [n for n in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING") if environ.get(n)]
    return tuple(
        f"{name} in the environment is not used, because PREFECT_API_URL is not set there." for name in names
    )


def _connection(settings: Mapping[str, str], source: str, notes: tuple[str, ...] = ()) -> PrefectConnection:
    api_url = _checked_url(settings["PREFECT_API_URL"].strip(), source)
    return PrefectConnection(
        api_url=api_url,
        source=source,
        ui_url=settings.get("PREFECT_UI_URL", "").strip().rstrip("/") or ui_root(api_url),
        api_key=_secret(settings, "PREFECT_API_KEY", source),
        auth_string=_secret(settings, "PREFECT_API_AUTH_STRING", source),
        headers=_headers(settings.get("PREFECT_CLIENT_CUSTOM_HEADERS", ""), source),
        ca_file=_ca_file(settings.get("PREFECT_API_SSL_CERT_FILE", ""), source),
        verify_tls=settings.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() not in TRUE_WORDS,
        notes=notes,
    )


def _secret(settings: Mapping[str, str], name: str, source: str) -> SecretStr | None:
    value = settings.get(name, "").strip()
    if not value.isascii() or not value.isprintable():
        raise BadInput(
            f"{name} from {source} holds characters that cannot be sent in a header.",
            "Copy it again; an ellipsis or a line break may have come along.",
        )
    return SecretStr(value) if value else None


def _checked_url(url: str, source: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(
            f"PREFECT_API_URL from {source} is not an http address.",
            "Set it to something like http://127.0.0.1:4200/api.",
        )
    if parts.username or parts.password:
        raise BadInput(
            f"PREFECT_API_URL from {source} holds a user name or password.",
            "Take them out of the URL and set PREFECT_API_AUTH_STRING=user:password.",
        )
    return _checked_path(url.rstrip("/"), source)


def _checked_path(url: str, source: str) -> str:
    if url.endswith("/api") or is_cloud_url(url):
        return url
    if urlsplit(url).hostname in ("app.prefect.cloud", "api.prefect.cloud"):
        raise BadInput(
            f"PREFECT_API_URL from {source} does not name a workspace of Prefect Cloud.",
            "Set it to https://api.prefect.cloud/api/accounts/<account id>/workspaces/<workspace id>; "
            "`prefect cloud workspace ls` and `prefect config view` show it.",
        )
    raise BadInput(
        f"PREFECT_API_URL from {source} does not end in /api.",
        "Prefect's API lives below /api: add it to the URL, as in http://127.0.0.1:4200/api.",
    )


def _headers(text: str, source: str) -> dict[str, SecretStr]:
    if not text.strip():
        return {}
    try:
        headers = json.loads(text)
    except json.JSONDecodeError:
        headers = None
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise BadInput(
            f"PREFECT_CLIENT_CUSTOM_HEADERS from {source} is not a JSON object of texts.",
            'Write it like {"CF-Access-Client-Id": "…"}.',
        )
    return {name: SecretStr(value) for name, value in headers.items()}


def _ca_file(text: str, source: str) -> str:
    if text and not Path(text).is_file():
        raise BadInput(
            f"The certificate file that PREFECT_API_SSL_CERT_FILE from {source} names does not exist.",
            "Point it at a PEM file, or unset it.",
        )
    return text


def _profiles_path(environ: Mapping[str, str], home: Path) -> Path:
    if path := environ.get("PREFECT_PROFILES_PATH"):
        return Path(path)
    return Path(environ.get("PREFECT_HOME") or home / ".prefect") / "profiles.toml"


def _active_profile(path: Path, chosen: str) -> tuple[str, Mapping[str, str]]:
    document = _read_toml(path)
    profiles = {name: {**values} for name, values in BUILT_IN_PROFILES.items()}
    for name, values in _profile_tables(document, path).items():
        profiles.setdefault(name, {}).update({key: str(value) for key, value in values.items()})
    name = chosen or str(document.get("active") or "ephemeral")
    if name not in profiles:
        raise BadInput(
            f"There is no Prefect profile {name!r} in {path}; there are {', '.join(sorted(profiles))}.",
            "Choose one with `prefect profile use <name>`, or set PREFECT_API_URL.",
        )
    return name, profiles[name]


def _profile_tables(document: Mapping[str, Any], path: Path) -> Mapping[str, Mapping[str, Any]]:
    tables = document.get("profiles", {})
    if not isinstance(tables, dict) or not all(isinstance(values, dict) for values in tables.values()):
        raise BadInput(
            f"{path} has a [profiles] section that does not hold tables.", "Write [profiles.<name>] sections."
        )
    return tables


def _read_toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's own message is left out: it can quote a line that holds a key.
        raise BadInput(
            f"{path} is not valid TOML.", "Mend or move the file, or set PREFECT_API_URL."
        ) from None
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}.", "Mend its permissions, or set PREFECT_API_URL."
        ) from None
