"""Secrets that give themselves away by their own shape, and how the patterns are tried. Pure."""

import re
from typing import NamedTuple

from tools.masks import mask
from tools.secret_names import is_harmless


class Shape(NamedTuple):
    """A pattern that is only tried where one of its `hints` stands; `lead` characters before it.

    Looking for plain words and trying there is many times faster than searching a text with a hundred
    patterns, and no text, however made, takes more than the length that a pattern reads at one place.
    A pattern with a group `secret` is masked in that group alone.
    """

    kind: str
    hints: tuple[str, ...]
    """In lower case; more than one where the pattern begins in several ways."""
    pattern: re.Pattern[str]
    lead: int = 0


# A shape must not begin inside a longer word: `risk-…` holds `sk-`.
_START = r"(?<![A-Za-z0-9_])"


def _shape(kind: str, hints: str, pattern: str, *, lead: int = 0) -> Shape:
    return Shape(kind, tuple(hints.split()), re.compile(_START + pattern), lead)


_KEY_NAME = r"(?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_KEY_BLOCK = rf"-----BEGIN {_KEY_NAME}(?:.*?-----END {_KEY_NAME}|.*\Z)"
_PUTTY_LINES = r"Private-Lines: \d{1,3}(?:(?:\\[rn]|\s){1,4}[A-Za-z0-9+/=]{2,80}(?![\w:-])){1,400}"

# What is left of a key whose beginning was cut off.
_KEY_END = re.compile(rf"-----END {_KEY_NAME}")
_KEY_LINE_BEFORE = re.compile(r"[A-Za-z0-9+/=]{16,80}(?:\\[rn]|\s){1,4}\Z")
_MAX_KEY_LINE = 90
_MAX_KEY_LINES = 200

OF_THEIR_OWN: tuple[Shape, ...] = (
    Shape("private key", ("-----begin ",), re.compile(_KEY_BLOCK, re.DOTALL)),
    _shape("private key", "private-lines:", _PUTTY_LINES),
    _shape(
        "Slack webhook",
        "https://hooks.slack",
        r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[\w/-]{20,}",
    ),
    _shape(
        "Discord webhook",
        "https://",
        r"https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}",
    ),
    _shape("webhook", "https://hook", r"https://hooks\.zapier\.com/hooks/catch/[\w/-]{8,}"),
    _shape("webhook", "https://hook", r"https://hook\.[\w.]{1,20}make\.com/[\w-]{16,}"),
    _shape("Slack token", "xox", r"xox[a-z](?:\.xox[a-z])?-(?=[A-Za-z-]{0,60}\d)[A-Za-z0-9-]{8,}"),
    _shape("Slack token", "xapp-", r"xapp-(?=[A-Za-z-]{0,60}\d)[A-Za-z0-9-]{8,}"),
    _shape("Anthropic key", "sk-ant-", r"sk-ant-[\w-]{16,}"),
    _shape("OpenAI key", "sk-", r"sk-(?:proj|svcacct|admin|None|or-v1)-[\w-]{16,}"),
    _shape("OpenAI key", "sk-", r"sk-[A-Za-z0-9]{20,}"),
    _shape("Groq key", "gsk_", r"gsk_[A-Za-z0-9]{20,}"),
    _shape("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{20,}"),
    _shape("GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    _shape(
        "GitLab token",
        "glpat- gldt- glrt- glptt- glcbt- gloas- glsoat- glft- glimt- glagent-",
        r"gl(?:pat|dt|rt|ptt|cbt|oas|soat|ft|imt|agent)-[\w-]{16,}",
    ),
    _shape("AWS key", "akia asia abia acca", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _shape("Prefect key", "pnu_ pnb_ pnt_", r"pn[ubt]_[A-Za-z0-9]{12,}"),
    _shape("JWT", "eyj", r"eyJ[\w-]{8,1000}\.[\w-]{8,}\.[\w-]{8,}={0,2}"),
    _shape("Stripe key", "sk_live_ sk_test_ rk_live_ rk_test_", r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}"),
    _shape("webhook secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
    _shape("Google key", "aiza", r"AIza[\w-]{35}"),
    _shape("Google secret", "gocspx-", r"GOCSPX-[\w-]{16,}"),
    _shape("Google token", "ya29.", r"ya29\.[\w.-]{20,}"),
    _shape("npm token", "npm_", r"npm_[A-Za-z0-9]{30,}"),
    _shape("PyPI token", "pypi-", r"pypi-[\w-]{50,}"),
    _shape("Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    _shape("Docker token", "dckr_", r"dckr_(?:pat|oat)_[\w-]{20,}"),
    _shape("SendGrid key", "sg.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _shape("Databricks token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _shape("DigitalOcean token", "doo_v1_ dop_v1_ dor_v1_", r"do[opr]_v1_[0-9a-f]{40,}"),
    _shape("dbt token", "dbtc_ dbtu_", r"dbt[cu]_(?=[\w-]{0,60}?\d)[\w-]{20,}"),
    _shape("Grafana token", "glsa_ glc_", r"gl(?:sa|c)_[\w+/=-]{20,}"),
    _shape("Vault token", "hvs. hvb. hvr.", r"hv[sbr]\.[\w-]{20,}"),
    _shape("Atlassian token", "atatt3", r"ATATT3[\w=-]{20,}"),
    _shape("Doppler token", "dp.pt dp.st dp.ct dp.sa", r"dp\.(?:pt|st|ct|sa)\.[\w.-]{20,}"),
    _shape("Linear key", "lin_api_", r"lin_api_[A-Za-z0-9]{20,}"),
    _shape("Shopify token", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}"),
    _shape("Sentry token", "sntrys_ sntryu_", r"sntry[su]_[\w+/=-]{20,}"),
    Shape("Telegram token", (":aa",), re.compile(r"(?<=\d{8}):AA[\w-]{33}(?![\w-])")),
    # "-----BEGIN" in Base64, as in a kubeconfig; what goes on with " CERTIFICATE" is public.
    _shape("private key", "ls0tls1crudjti", r"LS0tLS1CRUdJTi(?!BDRVJU)[A-Za-z0-9+/=]{16,}"),
    _shape("Teams webhook", "https://", r"https://[\w.-]+/webhookb2/[^\s\"'<>]{20,}"),
    _shape("age key", "age-secret-key-1", r"AGE-SECRET-KEY-1[0-9A-Z]{20,}"),
    _shape("Azure secret", "8q~", r"[\w~.-]{3}8Q~[\w~.-]{31,34}", lead=3),
)


def without_shape(text: str, lowered: str, shape: Shape, hint: str) -> str:
    """`text` without the secrets of that shape; the same object where there are none."""
    parts: list[str] = []
    done, at = 0, lowered.find(hint)
    while at >= 0:
        found = shape.pattern.match(text, at - shape.lead) if at - shape.lead >= done else None
        if found and (place := _secret_in(found, shape)):
            parts += [text[done : place[0]], mask(shape.kind)]
            done = place[1]
        at = lowered.find(hint, max(at + len(hint), done))
    return "".join([*parts, text[done:]]) if parts else text


def _secret_in(found: re.Match[str], shape: Shape) -> tuple[int, int] | None:
    if "secret" not in shape.pattern.groupindex:
        return found.span()
    return None if is_harmless(found["secret"], shape.kind) else found.span("secret")


def without_key_ends(text: str) -> str:
    """What is left of private keys whose beginning was cut off."""
    parts: list[str] = []
    done = 0
    for found in _KEY_END.finditer(text) if "-----END " in text else ():
        start = found.start()
        for _line in range(_MAX_KEY_LINES):
            line = _KEY_LINE_BEFORE.search(text, max(done, start - _MAX_KEY_LINE), start)
            if line is None:
                break
            start = line.start()
        if start < found.start():
            parts += [text[done:start], mask("private key")]
            done = found.end()
    return "".join([*parts, text[done:]])
