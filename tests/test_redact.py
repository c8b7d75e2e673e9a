"""Secrets that must go and look-alikes that must stay. Token bodies are put together here, so that no
scanner of repositories takes them for real ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.redact import contains_mask, is_secret_name, mask, redact, redact_data

HEX = "0123456789abcdef"
MIXED = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8"
BODY = MIXED + "x0C" + MIXED
UPPER = "ABCD2345EFGH6789"
JWT = f"eyJ{MIXED}.eyJ{MIXED}.{MIXED}"
KEY_BLOCK = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----"

BY_SHAPE = {
    "slack-bot": f"xoxb-123456789012-{MIXED}",
    "slack-user": f"xoxp-1-2-3-{HEX}",
    "slack-rotated": f"xoxe.xoxp-1-{MIXED}",
    "slack-app": f"xapp-1-A111-222-{HEX}",
    "slack-webhook": f"https://hooks.slack.com/services/T0001/B0001/{MIXED}",
    "discord-webhook": f"https://discord.com/api/webhooks/123456789/{BODY}",
    "openai-old": f"sk-{MIXED}{MIXED}",
    "openai-project": f"sk-proj-{MIXED}-{MIXED}",
    "anthropic": f"sk-ant-api03-{MIXED}",
    "groq": f"gsk_{BODY}",
    "github-classic": f"ghp_{BODY}",
    "github-app": f"ghs_{BODY}",
    "github-fine": f"github_pat_{BODY}_{BODY}",
    "gitlab": f"glpat-{MIXED}",
    "aws-id": f"AKIA{UPPER}",
    "aws-session-id": f"ASIA{UPPER}",
    "prefect-user": f"pnu_{BODY}",
    "prefect-service": f"pnb_{BODY}",
    "jwt": JWT,
    "stripe": f"sk_live_{MIXED}",
    "stripe-restricted": f"rk_test_{MIXED}",
    "webhook-signing": f"whsec_{MIXED}",
    "google": f"AIza{BODY[:35]}",
    "google-client": f"GOCSPX-{MIXED}",
    "google-oauth": f"ya29.{MIXED}",
    "npm": f"npm_{BODY}",
    "pypi": f"pypi-AgEI{BODY}",
    "hugging-face": f"hf_{BODY}",
    "docker": f"dckr_pat_{MIXED}",
    "sendgrid": f"SG.{MIXED}.{MIXED}",
    "databricks": f"dapi{HEX}{HEX}",
    "digitalocean": f"dop_v1_{HEX}{HEX}{HEX}",
    "dbt": f"dbtc_{MIXED}",
    "grafana": f"glsa_{MIXED}_{HEX}",
    "vault": f"hvs.{MIXED}",
    "linear": f"lin_api_{BODY}",
    "telegram": f"1234567890:AA{BODY[:33]}",
    "private-key": KEY_BLOCK,
    "private-key-in-json": json.dumps(KEY_BLOCK),
    "private-key-cut-off": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk",
}


@pytest.mark.parametrize("secret", BY_SHAPE.values(), ids=BY_SHAPE)
def test_a_secret_goes_by_its_shape_alone(secret: str) -> None:
    shown = redact(f"before {secret} after")
    assert secret not in shown
    assert MIXED[:12] not in shown
    assert HEX not in shown
    assert shown.startswith("before [secret hidden: ") or "before" in shown


S = "hunter2xyz"
BY_PLACE = {
    "env-line": f"DB_PASSWORD={S}",
    "env-export": f"export AWS_SECRET_ACCESS_KEY={S}/K7+x",
    "env-dump": f"HOME=/root\nAPI_TOKEN={S}\nPATH=/bin",
    "env-inside": f"env: DB_PASSWORD={S}",
    "env-in-list": f"args: [--verbose, --password={S}]",
    "env-suffix": f"SLACK_TOKEN_PROD={S}",
    "auth-string": f"PREFECT_API_AUTH_STRING=admin:{S}",
    "json": f'{{"user": "bob", "password": "{S}"}}',
    "json-in-json": f'{{\\"apiKey\\": \\"{S}\\"}}',
    "python-dict": f"{{'client_secret': '{S}', 'id': 1}}",
    "python-call": f"connect(host='h', password='{S}')",
    "python-environ": f'os.environ["API_KEY"] = "{S}"',
    "yaml": f"db:\n  password: {S}\n  host: h",
    "yaml-word": "password: hunterxyz",
    "toml": f'access_key = "{S}"',
    "flag": f"tool --password {S} --verbose",
    "flag-with-name": f"deploy --secret API_KEY={S}",
    "upper-case-header": f"AUTHORIZATION: BASIC {S}Q==",
    "python-bytes": f"client_secret=b'{S}'",
    "flag-equals": f"tool --api-key={S}",
    "flag-quoted": f'tool --token "{S} two"',
    "header": f"X-Api-Key: {S}",
    "bearer": f"Authorization: Bearer {S}",
    "bearer-json": f'"Authorization": "Bearer {S}"',
    "basic": f"authorization: Basic {S}Q==",
    "bare-bearer": f"sent Bearer {S}abc1",
    "cookie": f"Set-Cookie: session={S}; Path=/",
    "url": f"https://bob:{S}@host/x",
    "url-database": f"postgresql+asyncpg://bot:{S}@db:5432/x",
    "url-no-user": f"redis://:{S}@cache:6379/0",
    "url-at-in-password": f"amqp://u:p@{S}@mq/vh",
    "url-token-only": f"https://{S}0123456789@git.host/x",
    "url-in-env": f"SQLALCHEMY_DATABASE_URI=mysql://root:{S}@localhost/db",
    "query-signature": f"https://x.blob.core.windows.net/c?sv=2020&sig={S}%3D",
    "query-token": f"https://h/x?a=1&access_token={S}",
    "query-key": f"https://h/x?key={S}0123456789",
    "azure-account": f"AccountName=foo;AccountKey={S}==;EndpointSuffix=core",
    "curl": f"curl -u admin:{S} https://h",
    "dsn-kwargs": f"host=h user=u password={S} dbname=d",
    "numeric-password": "password=12345678",
    "pgpass": f"MY_PASS={S}",
}


@pytest.mark.parametrize("text", BY_PLACE.values(), ids=BY_PLACE)
def test_a_secret_goes_by_where_it_stands(text: str) -> None:
    shown = redact(text)
    assert S not in shown
    assert "hunterxyz" not in shown
    assert "12345678" not in shown or "=12345678" not in shown
    assert "[secret hidden: " in shown


LOOK_ALIKES = [
    "8ead0ac6-25ac-400a-ab39-34c4eab311e8",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "acme/etl@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "b73b09dc4cbd1e0e2f1b8e4f5a6b7c8d9e0f1a2b",
    "commit b73b09dc on branch main",
    "calm-otter",
    "organic-mandrill-2026",
    "2026-11-22T15:43:48.808574Z",
    "risk-assessment-of-pipelines-0001",
    "sk-learn-nightly-pipeline-run-2026",
    "task-abcdefghijklmnopqrstuvwxyz123456",
    "secret_name: my-block",
    "secret: {secretName: tls-cert}",
    "secretKeyRef: db-credentials",
    "{{ prefect.blocks.secret.github-token }}",
    'access_token: "{{ prefect.blocks.secret.github-token }}"',
    "access_token: {{ prefect.variables.t }}",
    "password=${DB_PASSWORD}",
    "password=$DB_PASSWORD",
    "PASSWORD=%(pw)s",
    "password=********",
    "api_key='**********'",
    "SecretStr('**********')",
    "password: <your password>",
    "the password is wrong",
    "Invalid token: expired yesterday",
    "password authentication failed for user bob",
    "Enter your API key",
    "set PREFECT_API_KEY and PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "max_tokens=4096",
    "prompt_tokens: 1234, total_tokens=99",
    "token_count: 17",
    "tokenizer: fast-one1",
    "token_url=https://host/oauth/token",
    "password_file=/run/secrets/pw",
    "secret_id: 42",
    "secrets: 3",
    "api_key_required=true",
    "password: str",
    "token: str | None = None",
    "def connect(user: str, password: str) -> None:",
    "api_key=settings.api_key",
    "token = get_token(user)",
    "password=None",
    "password=",
    'token=""',
    "idempotency_key=abc123",
    "cache_key: 8f3a",
    "primary_key=id",
    "Primary key: order_id",
    "postgresql://bot@db/x",
    "postgresql://bot:${PW}@db/x",
    "postgresql://bot:{{ prefect.variables.p }}@db/x",
    "postgresql://db:5432/x",
    "git@github.com:org/repo.git",
    "https://github.com/org/repo@v1.2.3",
    "http://host:8080/x@y",
    "https://docs.prefect.io/v3/@latest",
    "mailto:bob@acme.io",
    "Basic authentication",
    "a Basic introduction",
    "bearer of bad news",
    "Token bucket limit: 5",
    "Passed: 12, bypass: x12",
    "compass=n0rth",
    "Secret block named X: missing",
    "arn:aws:secretsmanager:eu-west-1:123:secret:db-AbCdEf",
    "prefect worker start --pool my-pool --type process",
    "keyboard: qwerty1",
    "aws_credentials=aws_credentials",
    "credentials=k8s_creds, limit=3",
    "def run(name: str, gcp_credentials: 'GcpCredentials') -> None:",
    'api_key="your-api-key"',
    'token = "my_token"',
    'token = "xoxb-your-bot-token-here"',
    'password="PASSWORD-PLACEHOLDER"',
    "PREFECT_API_KEY=pnu_...",
    "redis://user:pass@host:6379/0",
    'headers = {"Authorization": f"Bearer {PREFECT_API_KEY}"}',
    "Authorization: Bearer <key>",
    'my_secret = await Secret.load("x")',
    "docker login --password-stdin",
    '@task(result_storage_key="hello-{parameters[name]}.pickle")',
    '"authorizations": [{"enterprise_id": 1}]',
    "eyJ is how a JWT begins",
    "The default profile uses AKIA keys",
]


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_corpora_are_not_small() -> None:
    assert len(BY_SHAPE) + len(BY_PLACE) >= 60
    assert len(LOOK_ALIKES) >= 60


def test_the_mask_says_the_kind_and_leaves_the_rest_readable() -> None:
    assert redact(f"tried {BY_SHAPE['prefect-user']} twice") == "tried [secret hidden: Prefect key] twice"
    assert redact("postgresql://bot:pw1@db:5432/x") == "postgresql://bot:[secret hidden: password]@db:5432/x"
    assert redact("tool --password pw1 -v") == "tool --password [secret hidden: password] -v"
    assert redact("It was token=abc1.") == "It was token=[secret hidden: token]."


@pytest.mark.parametrize("text", [*BY_SHAPE.values(), *BY_PLACE.values()])
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(alphabet="abKEY_=: \"'{}[]@/.-$tokenpassword1\n", max_size=80))
def test_masking_any_text_is_settled_after_one_pass(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_data_is_masked_by_the_key_that_a_value_stands_under() -> None:
    data = {
        "parameters": {"password": S, "rows": 5, "token": None, "api_key": ""},
        "env": [{"name": "DB_PASSWORD", "value": S}, {"name": "HOST", "value": "h"}],
        "tokens": ["a"],
        "accessTokens": 3,
        "credentials": {"user": "bob", "password": S},
        "log": [f"token={S}"],
        "ok": True,
    }
    shown = redact_data(data)
    assert S not in json.dumps(shown)
    assert shown["parameters"] == {"password": mask("password"), "rows": 5, "token": None, "api_key": ""}
    assert shown["env"][1] == {"name": "HOST", "value": "h"}
    assert shown["tokens"] == ["a"]
    assert shown["credentials"]["user"] == "bob"
    assert shown["ok"] is True


def test_a_list_under_a_secret_name_is_masked_item_by_item() -> None:
    assert redact_data({"passwords": ["a", "b"]}) == {"passwords": [mask("password")] * 2}


def test_references_stay_in_data_too() -> None:
    data = {"access_token": "{{ prefect.blocks.secret.gh }}", "secret_name": "my-block", "token_limit": 5}
    assert redact_data(data) == data


@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "apiKey", "api-key", "clientSecret", "authToken", "MY_PAT"]
)
def test_names_of_secrets_are_known_in_every_spelling(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["key", "name", "secret_name", "tokens", "token_url", "path", "pattern", "day"]
)
def test_other_names_are_none(name: str) -> None:
    assert not is_secret_name(name)


def test_a_mask_is_recognised_wherever_it_is() -> None:
    assert contains_mask({"a": [{"b": f"x {mask('token')}"}]})
    assert not contains_mask({"a": ["secret hidden", 1, None]})


def test_a_long_run_of_anything_is_passed_through_in_reasonable_time() -> None:
    for text in (
        "a" * 50_000,
        "x=" * 25_000,
        "token=$a" * 5_000,
        "password " * 5_000,
        "://" * 15_000,
        "-" * 50_000,
    ):
        assert redact(text) == text
