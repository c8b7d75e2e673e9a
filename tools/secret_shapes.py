"""Secrets that give themselves away by their own shape, or by what stands right before them."""

import re
from typing import NamedTuple


class Shape(NamedTuple):
    """`hint` is in every text that can match; looking for it first makes the many that do not match cheap."""

    kind: str
    hint: str
    pattern: re.Pattern[str]


# A shape must not begin inside a longer word: `risk-…` holds `sk-`.
_START = r"(?<![A-Za-z0-9_])"


def _shape(kind: str, hint: str, pattern: str) -> Shape:
    return Shape(kind, hint, re.compile(_START + pattern))


_KEY_NAME = r"(?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_KEY_BLOCK = rf"-----BEGIN {_KEY_NAME}(?:.*?-----END {_KEY_NAME}|.*\Z)"
# What is left of a key whose beginning was cut off.
_KEY_END = rf"(?:[A-Za-z0-9+/=]{{16,80}}(?:\\[rn]|\s){{1,4}}){{1,200}}-----END {_KEY_NAME}"

SHAPES: tuple[Shape, ...] = (
    Shape("private key", "PRIVATE KEY", re.compile(_KEY_BLOCK, re.DOTALL)),
    Shape("private key", "PRIVATE KEY", re.compile(_KEY_END)),
    _shape(
        "Slack webhook",
        "hooks.slack",
        r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[\w/-]{20,}",
    ),
    _shape(
        "Discord webhook",
        "/api/webhooks/",
        r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}",
    ),
    _shape("Slack token", "xox", r"xox[a-z](?:\.xox[a-z])?-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{8,}"),
    _shape("Slack token", "xapp-", r"xapp-(?=[A-Za-z-]*\d)[A-Za-z0-9-]{8,}"),
    _shape("Anthropic key", "sk-ant-", r"sk-ant-[\w-]{16,}"),
    _shape("OpenAI key", "sk-", r"sk-(?:proj|svcacct|admin|None|or-v1)-[\w-]{16,}"),
    _shape("OpenAI key", "sk-", r"sk-[A-Za-z0-9]{20,}"),
    _shape("Groq key", "gsk_", r"gsk_[A-Za-z0-9]{20,}"),
    _shape("GitHub token", "gh", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    _shape("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    _shape("GitLab token", "gl", r"gl(?:pat|dt|rt|ptt|cbt|oas|soat|ft|imt|agent)-[\w-]{16,}"),
    _shape("AWS key", "A", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _shape("Prefect key", "pn", r"pn[ubt]_[A-Za-z0-9]{12,}"),
    _shape("JWT", "eyJ", r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}={0,2}"),
    _shape("Stripe key", "k_", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}"),
    _shape("webhook secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
    _shape("Google key", "AIza", r"AIza[\w-]{35}"),
    _shape("Google secret", "GOCSPX-", r"GOCSPX-[\w-]{16,}"),
    _shape("Google token", "ya29.", r"ya29\.[\w-]{20,}"),
    _shape("npm token", "npm_", r"npm_[A-Za-z0-9]{30,}"),
    _shape("PyPI token", "pypi-", r"pypi-[\w-]{50,}"),
    _shape("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    _shape("Docker token", "dckr_", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    _shape("SendGrid key", "SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _shape("Databricks token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _shape("DigitalOcean token", "_v1_", r"do[opr]_v1_[0-9a-f]{40,}"),
    _shape("dbt token", "dbt", r"dbt[cu]_(?=[\w-]*\d)[\w-]{20,}"),
    _shape("Grafana token", "gl", r"gl(?:sa|c)_[\w+/=-]{20,}"),
    _shape("Vault token", "hv", r"hv[sbr]\.[\w-]{20,}"),
    _shape("Atlassian token", "ATATT3", r"ATATT3[\w=-]{20,}"),
    _shape("Doppler token", "dp.", r"dp\.(?:pt|st|ct|sa)\.[\w.-]{20,}"),
    _shape("Linear key", "lin_api_", r"lin_api_[A-Za-z0-9]{20,}"),
    _shape("Shopify token", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}"),
    _shape("Sentry token", "sntry", r"sntry[su]_[\w+/=-]{20,}"),
    _shape("Telegram token", ":AA", r"(?:bot)?\d{8,10}:AA[\w-]{33}(?![\w-])"),
    # "-----BEGIN" in Base64, as in a kubeconfig; what goes on with " CERTIFICATE" is public.
    _shape("private key", "LS0tLS1CRUdJTi", r"LS0tLS1CRUdJTi(?!BDRVJU)[A-Za-z0-9+/=]{16,}"),
    _shape("Teams webhook", "/webhookb2/", r"https://[\w.-]+/webhookb2/[^\s\"'<>]{20,}"),
    _shape("age key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    _shape("Azure secret", "8Q~", r"[\w~.-]{3}8Q~[\w~.-]{31,34}"),
)

_SCHEMES = r"(?:Bearer|Basic|Token|Digest|ApiKey)"


def _after(kind: str, hint: str, before: str, secret: str, *, ignore_case: bool = True) -> Shape:
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    return Shape(kind, hint, re.compile(f"(?P<before>{before})(?P<secret>{secret})", flags))


AFTER_PREFIX: tuple[Shape, ...] = (
    _after(
        "credentials",
        "uthorization",
        rf"\bAuthorization\\?[\"']?\s*[:=,]\s*\\?[\"']?(?:{_SCHEMES}\s+)?",
        rf"(?!{_SCHEMES}\b)(?![{{\[(])[^\s\"'\\,;`|]{{6,}}",
    ),
    _after("bearer token", "earer", r"\bBearer\s+", r"(?=[\w.~+/-]*\d)[\w.~+/-]{12,}=*"),
    _after(
        "credentials",
        "basic",
        r"\bBasic\s+",
        r"(?=[A-Za-z0-9+/]*[A-Z0-9])[A-Za-z0-9+/]{11,}={1,2}",
        ignore_case=False,
    ),
    _after(
        "credentials",
        "basic",
        r"\bBasic\s+",
        r"(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{12,}(?![\w-])",
        ignore_case=False,
    ),
    _after("cookie", "ookie", r"\b(?:Set-)?Cookie\\?[\"']?\s*:\s*\\?[\"']?", r"[\w.-]+=[^\r\n\"']{4,}"),
    _after(
        "signature",
        "=",
        r"[?&;](?:sig|signature|X-(?:Amz|Goog)-(?:Signature|Credential|Security-Token))=",
        r"[^\s&\"'<>]{8,}",
    ),
    _after("key", "=", r"[?&](?:key|code|auth)=", r"[\w.~+/%-]{16,}"),
    _after(
        "password", "curl", r"\bcurl\b[^\n]{0,200}?\s(?:-u|--user)[\s=][\"']?[^\s:\"']{1,100}:", r"[^\s\"']+"
    ),
    _after("password", "sshpass", r"\bsshpass\s+-p\s*[\"']?", r"[^\s\"']+"),
    _after("password", "login", r"\blogin\b[^\n]{0,80}?\s-p[\s=][\"']?", r"[^\s\"']+"),
    _after("password", "mysql", r"\bmysql\w*[^\n]{0,80}?\s-p(?=\S)", r"[^\s\"']+", ignore_case=False),
    _after("password", "redis-cli", r"\bredis-cli\b[^\n]{0,80}?\s(?:-a|--pass)\s+", r"[^\s\"']+"),
    _after("password", "jdbc:oracle", r"\bjdbc:oracle:\w+:[^\s/@]{1,100}/", r"[^\s@]+(?=@)"),
    _after("password", "pwd={", r"\bPWD=\{", r"(?=[^}\n]*\d)[^}\n]+(?=\})"),
    _after(
        "password",
        "auth",
        r"\b(?:auth\s{0,3}=\s{0,3}|\w{0,20}BasicAuth)\(\s{0,3}b?[\"'][^\"'\n]{0,100}[\"'],\s{0,3}b?[\"']",
        r"[^\"'\n]+",
    ),
    _after("secret", "secret", r"\bSecret(?:Str|Bytes)\(b?[\"']", r"[^\"'\n]+"),
    # In a sentence only what looks like nothing else: letters and digits, or in quotes.
    _after(
        "password",
        "password",
        r"[pP]assword(?<!\w[pP]assword)\s{1,3}(?:is\s{1,3}|was\s{1,3})?[\"']?",
        r"(?=[^\s\"']{0,60}\d)(?=[^\s\"']{0,60}[A-Za-z])[^\s\"',;.:=()/-]{8,}",
        ignore_case=False,
    ),
    _after(
        "token",
        "token",
        r"[tT]oken(?<!\w[tT]oken)\s{1,3}[\"']",
        r"(?=[^\s\"']{0,60}\d)[^\s\"']{8,}(?=[\"'])",
        ignore_case=False,
    ),
)

_LINE = r"[^\S\n]{0,40}"


def _place(hint: str, pattern: str) -> Shape:
    return Shape("", hint, re.compile(pattern, re.IGNORECASE | re.MULTILINE))


# A name and its value in other forms than `name = value`; groups `name` and `value`.
PLACES: tuple[Shape, ...] = (
    _place("</", r"<(?P<name>[\w:.-]{1,80})>(?P<value>[^<>\n]{1,500})</"),
    _place(
        "value",
        r"(?<![\w-])(?:name|key)\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}\\{0,3}[\"']?(?P<name>[\w.-]{1,80})\\{0,3}[\"']?"
        r"[\s,]{1,40}\\{0,3}[\"']?value\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}\\{0,3}[\"']?(?P<value>[^\s\"'<>\\,}]{1,500})",
    ),
    # A block of YAML below its key.
    _place(
        "\n",
        rf"^(?P<indent>{_LINE})(?:-[ ])?(?P<name>[\w.-]{{1,80}})[\"']?:{_LINE}[|>][+-]?[^\S\n]*\n"
        r"(?P=indent)[^\S\n]{1,40}(?P<value>\S[^\n]*(?:\n(?P=indent)[^\S\n]{1,40}\S[^\n]*)*)",
    ),
    # What pydantic says of a value that is not valid.
    _place(
        "input_value=",
        r"^(?P<name>[\w.-]{1,80})\n[^\n]{0,400}?\binput_value=[\"']?(?P<value>[^\n]{1,500}?)[\"']?"
        r"(?=, input_type)",
    ),
)

# The password runs to the last @ before the path, as an unquoted one may hold an @.
URL_CREDENTIALS = re.compile(
    r"://(?<=[A-Za-z0-9]://)(?P<user>[^\s:/@\"'<>,;`(){}]{0,200})"
    r"(?P<colon>:?)(?P<password>[^\s/\"'<>,;`]{0,400})@(?=[\w\[{$])"
)
