"""Names that say that a secret stands beside them, and values that are none all the same."""

import re

_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(words, re.IGNORECASE))
    for kind, words in (
        ("password", r"pass(?:word|wd|phrase|code)|pwd|(?:^|[_.-])pass$"),
        ("token", r"token(?!s|iz)|(?:^|[_.-])pat$"),
        (
            "key",
            r"(?:api|access|secret|private|account|signing|encryption|shared|master|auth|fernet|ssh|license|app"
            r"|application|client|consumer|deploy|hmac|jwt|webhook|subscription|function|ingest(?:ion)?|integration"
            r"|instrumentation|admin|root|recovery|decryption|cipher|aes|rsa|gpg|pgp|sas|write|aws|azure|gcp|openai"
            r"|anthropic|stripe|sendgrid|datadog)[_.-]?key",
        ),
        ("secret", r"secret(?!s)|auth[_-]?string"),
        ("credential", r"credential|(?:^|[_.-])creds?$"),
        ("authorization", r"authorization(?!s)|[_.-]auth$"),
        ("connection string", r"connection[_-]?string|conn[_-]?str"),
        (
            "code",
            r"(?:^|[_.-])(?:pin|t?otp|cvv|cvc|2fa|mfa|pin[_-]?code|(?:otp|mfa|2fa|sms|security|verification|auth"
            r"|one[_-]time|recovery|backup)[_-]?code)$",
        ),
    )
)
# `secret_name`, `token_url`, `password_file`, `token_count` tell about a secret and hold none.
_ABOUT_A_SECRET = frozenset(
    [
        *(
            "name",
            "names",
            "id",
            "ids",
            "type",
            "file",
            "path",
            "dir",
            "url",
            "uri",
            "endpoint",
            "ref",
            "arn",
        ),
        *("count", "limit", "length", "size", "ttl", "expiry", "expires", "at", "in", "expiration", "age"),
        *("policy", "required", "enabled", "version", "block", "blocks", "slug", "field", "env", "var"),
        *("variable", "scope", "scopes", "header", "store", "manager", "provider", "rotation", "hint"),
        *("status", "error", "usage", "budget", "second", "class", "stdin", "info", "prompt"),
    ]
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR = re.compile(r"[_.\s-]")


def kind_of_name(name: str) -> str:
    """`password`, `token`, `key`, …; empty for a name that holds no secret."""
    spelled = _CAMEL.sub("_", name)
    if _SEPARATOR.split(spelled)[-1].lower() in _ABOUT_A_SECRET or "keyref" in name.lower():
        return ""
    return next((kind for kind, words in _KINDS if words.search(spelled)), "")


# What may stand in a secret's place and is none: templates, shell variables, addresses of vaults, masks.
_REFERENCE = re.compile(
    r"\{\{.*|\{[A-Za-z_][\w.]*\}|\$\{.*|\$[A-Za-z_(]\w*.*|%\(?\w+\)?s?|<[^>]*>?|Secret(?:Str|Bytes)?\(.*|\\?\[secret.*"
    r"|\[?(?:redacted|hidden|masked|filtered)\]?|[*x•.…]+|[A-Za-z]{2,6}[-_](?:\.\.\.|…)"
    r"|(?:vault|op|ssm|awssm|gcpsm|keyring)://.*|arn:aws:.*|projects/.+/secrets/.*",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(r"^(?:Bearer|Basic|Token)\s+", re.IGNORECASE)
# The last one begins a block in YAML.
_NO_VALUE = re.compile(r"none|null|nil|true|false|[|>][+-]?", re.IGNORECASE)
_FILE = re.compile(r"(?:~|/|[A-Z]:\\)[\w./\\-]*\.\w{1,10}|~/[\w./-]+")

# Where a secret may be named instead of given: `credentials: gcp-prod-1`, `auth: basic`.
_NAMEABLE = ("credential", "authorization")
_SLUG = re.compile(r"[a-z]{2,30}(?:[_-](?:[a-z]{1,30}\d{0,2}|\d{1,4})){1,8}")
_SHORT_CODE = re.compile(r"\d{4,10}")
MIN_DIGITS = 4

_WORDS = re.compile(r"[A-Za-z]+(?:[_-][A-Za-z]+)*")
_PLACEHOLDER = frozenset(["your", "my", "placeholder", "example", "here", "dummy", "sample", "some"])
_GENERIC = frozenset(["password", "passwd", "pass", "pwd", "token", "secret", "key", "credentials"])


def is_harmless(value: str, kind: str) -> bool:
    """Whether what stands in the place of a secret of that kind is none."""
    bare = _SCHEME.sub("", value.strip())
    if kind in _NAMEABLE and (_FILE.fullmatch(bare) or (kind == "credential" and _SLUG.fullmatch(bare))):
        return True
    if not bare or _NO_VALUE.fullmatch(bare) or _REFERENCE.fullmatch(bare) or _is_placeholder(bare, kind):
        return True
    if _is_example_login(bare):
        return True
    return _is_mere_number(bare, kind)


def _is_mere_number(value: str, kind: str) -> bool:
    """A number under `token` counts something; under `password` it may be one, a long one also elsewhere."""
    if kind == "code":
        return not _SHORT_CODE.fullmatch(value)
    if kind == "password" or len(value) >= 12 or not value.replace(".", "", 1).isdigit():
        return False
    return kind == "token" or len(value) < MIN_DIGITS


def _is_example_login(value: str) -> bool:
    """`admin:pass` and `user:password`, as documentation writes them."""
    user, colon, password = value.partition(":")
    return bool(colon) and user.isalpha() and password.lower() in _GENERIC


def _is_placeholder(value: str, kind: str) -> bool:
    """`your-api-key`, `my_token`, `PASSWORD-PLACEHOLDER`, and variables such as `gcp_credentials`."""
    if kind in _NAMEABLE and (value.isidentifier() and kind_of_name(value)):
        return True
    if not _WORDS.fullmatch(value):
        return False
    words = _SEPARATOR.split(value.lower())
    if kind in _NAMEABLE or len(words) == 1:
        return kind in _NAMEABLE or words[0] in _GENERIC | {"placeholder"}
    return bool(kind_of_name(value)) or not _PLACEHOLDER.isdisjoint(words)


# Unquoted text can also be program code (`token = settings.token`, `password: str`) or a remark.
_CODE = re.compile(
    r"[\w.]+\(.*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|(?:os\.)?environ.*|[\w.]+\[.*|[\[{(].*", re.DOTALL
)
# No name in a program: many letters and digits mixed, as in `s.Ga5jyNq6kNfRMVQk2LY1j9iu`.
_RANDOM_PART = re.compile(
    r"(?<![^.])(?=[A-Za-z]{0,40}\d[A-Za-z]{0,40}\d)(?=[a-z\d]{0,40}[A-Z])[A-Za-z\d]{12,}(?![^.])"
)
_WORD = re.compile(
    r"str|string|bytes|int|any|SecretStr|Secret|Optional.*|required|missing|invalid|expired|unset|set|not|is|was"
    r"|has|for|from|in|to|and|or|of|the|a|yes|no|on|off|self|await|lambda",
    re.IGNORECASE,
)


def is_working_folder(name: str, value: str) -> bool:
    """`PWD=/srv/app`, as every shell has it; in a connection string PWD is a password."""
    return name in ("PWD", "OLDPWD") and value.startswith(("/", "~"))


def is_code(value: str) -> bool:
    return bool(_CODE.fullmatch(value) or _WORD.fullmatch(value)) and not _RANDOM_PART.search(value)
