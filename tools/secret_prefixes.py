"""Secrets known by what stands right before them: a header, a part of an address, an option. Pure."""

import re

from tools.masks import mask
from tools.secret_names import is_harmless
from tools.secret_shapes import Shape

_SCHEMES = r"(?i:Bearer|Basic|Token|Digest|ApiKey)"
# A parameter of an address, also where JSON or the address itself wrote its separator otherwise.
_IN_QUERY = r"(?:(?<=[?&;])|(?<=u0026)|(?<=%26))"
_ARGUMENT = r"[^\s\"']+"
# Between a key and its value in JSON or a dict, quotes of both included; also in JSON in JSON.
_IS = r"\\?[\"']?\s{0,40}[:=]\s{0,40}\\?[\"']?"
_IN_QUOTES = r"[^\"'\n]{1,500}"


def _after(kind: str, hints: str, before: str, secret: str) -> Shape:
    return Shape(kind, tuple(hints.split()), re.compile(f"(?:{before})(?P<secret>{secret})"))


def _option(hints: str, program: str, option: str, secret: str = _ARGUMENT) -> Shape:
    """What follows an option of a program, in the same command."""
    return _after("password", hints, rf"(?<![\w.-])(?i:{program})\b[^\n|;]{{0,200}}?\s(?:{option})", secret)


_HTPASSWD = r"(?<!\w)htpasswd\s{1,3}-\w{0,5}b\w{0,5}(?:\s{1,3}[^\s-]\S{0,200}){1,2}\s{1,3}"

_PROGRAMS: tuple[Shape, ...] = (
    _option("curl", "curl", r"(?:-u|--user|-U|--proxy-user)[\s=][\"']?[^\s:\"']{1,100}:"),
    _option("login", "login", r"-p[\s=][\"']?"),
    _option("mysql mariadb", r"(?:mysql|mariadb)\w*", r"-p[\"']?(?=[^\s\"'])"),
    _option("redis-cli", "redis-cli", r"(?:-a|--pass)\s+[\"']?"),
    _option("7z rar unrar", r"7z[ar]?|(?:un)?rar", r"-h?p[\"']?(?=[^\s\"'])"),
    _option("zip unzip", r"(?:un)?zip", r"-P\s{0,3}[\"']?"),
    _option("sqlcmd bcp", "sqlcmd|bcp", r"-P\s{0,3}[\"']?"),
    _option("openssl", "openssl", r"-[kK]\s{1,3}[\"']?"),
    _option("mongo", r"mongo(?:sh|dump|restore|export|import)?", r"-p\s{1,3}[\"']?"),
    _option("twine", "twine", r"-p\s{1,3}[\"']?"),
    _option("ldap", r"ldap(?:search|add|modify|delete|whoami|passwd)", r"-w\s{1,3}[\"']?"),
    _option("smbclient", "smbclient", r"-U\s{0,3}[\"']?[^\s%\"']{1,100}%"),
    _option("lftp", "lftp", r"-u\s{1,3}[\"']?[^\s,\"']{1,100},"),
    _after("password", "sshpass", r"(?<!\w)(?i:sshpass)\s{1,3}-p\s{0,3}[\"']?", _ARGUMENT),
    _after("password", "sqlplus", r"(?<!\w)(?i:sqlplus)\s[^\s/@]{1,100}/", r"[^\s@]+(?=@)"),
    _after("password", "htpasswd", _HTPASSWD, _ARGUMENT),
    _after("token", "vault", r"(?<!\w)vault\s{1,3}login\s{1,3}", r"[^\s\"'=-][^\s\"'=]{8,}"),
)

_BASIC = r"(?<!\w)(?i:basic)\s{1,40}"
_WORDS = r"[a-z]{1,20}(?:[_-][a-z]{1,20}){0,3}[.:)]?(?![^\s\"'\\,;`|])"

_HEADERS: tuple[Shape, ...] = (
    # Words in small letters without a scheme say how it stands: `authorization: required`.
    _after(
        "credentials",
        "authorization",
        r"(?<!\w)(?i:authorization)\\?[\"']?\s{0,40}[:=,]\s{0,40}\\?[\"']?"
        rf"(?P<scheme>{_SCHEMES}\s{{1,40}})?(?(scheme)|(?!{_WORDS}))",
        rf"(?!{_SCHEMES}\b)(?![{{\[(])[^\s\"'\\,;`|]{{6,}}",
    ),
    _after(
        "bearer token", "bearer", r"(?<!\w)(?i:bearer)\s{1,40}", r"(?=[\w.~+/-]{0,400}?\d)[\w.~+/-]{12,}=*"
    ),
    _after("credentials", "basic", _BASIC, r"(?=[a-z+/]{0,400}[A-Z0-9])[A-Za-z0-9+/]{11,}={1,2}"),
    _after("credentials", "basic", _BASIC, r"(?=[A-Za-z+/]{0,400}\d)[A-Za-z0-9+/]{12,}(?![\w-])"),
    _after("cookie", "cookie", rf"(?<!\w)(?i:cookie){_IS}", r"[\w.-]{1,200}=[^\r\n\"']{4,}"),
)

_ADDRESSES: tuple[Shape, ...] = (
    _after(
        "signature",
        "sig= signature= x-amz- x-goog-",
        rf"{_IN_QUERY}(?i:sig|signature|X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token))=",
        r"[^\s&\"'<>]{8,}",
    ),
    _after("key", "key= code= auth=", rf"{_IN_QUERY}(?i:key|code|auth)=", r"[\w.~+/%-]{16,}"),
    _after("key", "appid=", rf"{_IN_QUERY}(?i:appid)=", r"[0-9a-fA-F]{32}(?!\w)"),
    _after("password", "jdbc:oracle", r"(?i:jdbc:oracle):\w{1,20}:[^\s/@]{1,100}/", r"[^\s@]+(?=@)"),
    _after("password", "pwd={", r"(?<!\w)(?i:pwd)=\{", r"(?=[^}\n\d]{0,200}\d)[^}\n]{1,200}(?=\})"),
)

_LOGIN_CALL = (
    r"(?:(?<!\w)auth\s{0,3}=\s{0,3}|(?<=[bB]asic)Auth|(?<=\.)login)"
    r"\(\s{0,3}b?[\"'][^\"'\n]{0,100}[\"'],\s{0,3}b?[\"']"
)
_IDENTIFIED_BY = r"(?i:IDENTIFIED(?:\s{1,3}WITH\s{1,3}\w{1,40})?\s{1,3}BY(?:\s{1,3}PASSWORD)?)"
_CODE: tuple[Shape, ...] = (
    _after("password", "auth login", _LOGIN_CALL, r"[^\"'\n]+"),
    _after(
        "password",
        "auth",
        r"(?<=\.)(?:auth|authenticate)\([\"']",
        r"(?=[^\"'\n\d]{0,60}\d)[^\"'\n]{6,}(?=[\"']\))",
    ),
    _after("password", "identified", rf"(?<!\w){_IDENTIFIED_BY}\s{{1,3}}[\"']", r"[^\"'\n]+"),
    _after("password", "password", r"(?<!\w)(?:PASSWORD|(?<=[wW]ith )password)\s{1,3}'", r"[^\"'\n]+"),
    _after("password", "login", r"(?<!\w)login\s{1,20}\S{1,100}\s{1,40}password\s{1,20}", r"\S+"),
    _after("secret", "secret", r"(?<!\w)Secret(?:Str|Bytes)\(b?[\"']", r"[^\"'\n]+"),
)

_SECRET_BLOCK = rf"block_type(?:_slug)?{_IS}(?:\w{{0,20}}[{{(][^{{}}()]{{0,200}}?slug{_IS})?secret\\?[\"']"
_IN_JSON = r"[^\"'\\\n]{1,500}"
_BLOCKS: tuple[Shape, ...] = (
    _after("secret", "secret(", r"(?<!\w)Secret\([^()\n]{0,200}?\bvalue=[\"']", _IN_QUOTES),
    _after(
        "secret", "secret", rf"(?<!\w)(?i:secret)\b[^{{}}\n]{{0,120}}\{{\s{{0,3}}\\?[\"']value{_IS}", _IN_JSON
    ),
    _after("secret", "block_type", rf"{_SECRET_BLOCK}[^\n]{{0,400}}?[\"']value{_IS}", _IN_JSON),
    _after(
        "secret",
        "\"value 'value",
        rf"[\"']value{_IS}",
        rf"{_IN_JSON}(?=\\?[\"'][^\n{{]{{0,200}}{_SECRET_BLOCK})",
    ),
    # What `docker login` leaves behind: the login and the password in Base64.
    _after(
        "password",
        "auth",
        rf"(?<=[\"'])auth(?=\\?[\"']){_IS}",
        r"(?=[A-Za-z+/]{0,80}\d)[A-Za-z0-9+/]{12,}={0,2}(?=\\?[\"'])",
    ),
)

_SENTENCES: tuple[Shape, ...] = (
    _after("code", "otp pin", r"(?<!\w)(?i:t?otp|pin)\s(?:code\s)?(?:is|was)\s", r"\d{4,10}(?![\w.])"),
    # In a sentence only what looks like nothing else: letters and digits, or in quotes.
    _after(
        "password",
        "password",
        r"(?<!\w)[pP]assword\s{1,3}(?:is\s{1,3}|was\s{1,3})?[\"']?",
        r"(?=[^\s\"']{0,60}\d)(?=[^\s\"']{0,60}[A-Za-z])[^\s\"',;.:=()/-]{8,}",
    ),
    # With a hyphen it may be a word of the trade: `the password is base64-encoded`.
    _after(
        "password",
        "password",
        r"(?<!\w)[pP]assword\s{1,3}(?:is|was)\s{1,3}",
        r"(?=[^\sA-Z]{0,60}[A-Z])(?=[^\sa-z]{0,60}[a-z])(?=[^\s\d]{0,60}\d)"
        r"(?!\S{0,60}-(?:encoded|based|hashed|encrypted))[^\s\"',;.:=()/]{8,}",
    ),
    _after(
        "token",
        "token",
        r"(?<!\w)[tT]oken\s{1,3}[\"']",
        r"(?=[^\s\"']{0,60}\d)[^\s\"']{8,}(?=[\"'])",
    ),
)

AFTER_PREFIX: tuple[Shape, ...] = (*_HEADERS, *_ADDRESSES, *_PROGRAMS, *_CODE, *_BLOCKS, *_SENTENCES)

# The password runs to the last @ before the path, as an unquoted one may hold an @.
_URL_CREDENTIALS = re.compile(
    r"://(?<=[A-Za-z0-9]://)(?P<user>[^\s:/@\"'<>,;`(){}]{0,200})"
    r"(?P<colon>:?)(?P<password>[^\s/\"'<>,;`]{0,400})@(?=[\w\[{$]|(?<=[^/]@)/)"
)


def without_url_credentials(text: str) -> str:
    return _URL_CREDENTIALS.sub(_masked_url, text) if "://" in text else text


def _masked_url(found: re.Match[str]) -> str:
    user, password = found["user"], found["password"]
    if found["colon"] and password and not is_harmless(password, "password"):
        return f"://{user}:{mask('password')}@"
    if not password and len(user) >= 16 and any(letter.isdigit() for letter in user):
        return f"://{mask('token')}@"
    return found[0]
