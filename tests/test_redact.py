"""Secrets that must go and look-alikes that must stay. Token bodies are put together here, so that no
scanner of repositories takes them for real ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.masks import contains_mask, mask
from tools.redact import is_secret_name, redact, redact_data

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
    assert shown.startswith("before ")
    assert "[secret hidden: " in shown


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


# As they occur in logs, parameters and settings; `~` stands for the secret.
IN_THE_WILD = {
    "prefect-secret-repr": "Secret(value=SecretStr('~'))",
    "secretbytes": "SecretBytes(b'~')",
    "docker-e": "docker run -e DB_PASSWORD=~ -e FOO=bar img",
    "docker-env-long": "docker run --env=SNOWFLAKE_PASSWORD=~ img",
    "docker-login-p": "docker login -u bob -p ~ registry.io",
    "mysql-p": "mysql -uroot -p~ -h db",
    "psql-env": "PGPASSWORD=~ psql -h db",
    "redis-cli": "redis-cli -h cache -a ~ ping",
    "snowflake-url": "snowflake://bob:~@acct/db/sch?warehouse=wh",
    "redshift-url": "redshift+psycopg2://awsuser:~@c.abc.us-east-1.redshift.amazonaws.com:5439/dev",
    "mongodb": "mongodb+srv://app:~@cluster0.ab1cd.mongodb.net/?retryWrites=true",
    "amqp": "amqps://guest:~@mq:5671/%2F",
    "rediss": "rediss://default:~@r.upstash.io:6379",
    "url-encoded-pw": "postgresql://u:p%40ss~@db/x",
    "azure-sas": "https://a.blob.core.windows.net/c/f?sp=r&st=2026&se=2027&sv=2022&sr=b&sig=~%2F~%3D",
    "azure-conn": "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=~K7xQ9K7xQ9K7xQ9K7xQ9/~K7xQ9K7xQ9K7xQ9K7xQ9==;EndpointSuffix=core.windows.net",
    "azure-sas-conn": "BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=sv=2022&ss=b&sig=~%3D",
    "servicebus": "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=~K7xQ9K7xQ9K7xQ9K7xQ9=",
    "git-error": "fatal: Authentication failed for 'https://oauth2:~@gitlab.com/acme/etl.git/'",
    "git-x-token": "Cloning https://x-access-token:~@github.com/a/b",
    "git-extraheader": "git -c http.extraheader='AUTHORIZATION: basic eDp~K7xQ9K7xQ9K7xQ9K7xQ9' clone",
    "settings-repr": "Settings(api_key='~', url='http://x', retries=3)",
    "settings-dataclass": "Config(host='db', user='bob', password='~', port=5432)",
    "curl-H": "curl -H 'Authorization: Bearer ~' https://h",
    "curl-H-token": 'curl -H "PRIVATE-TOKEN: ~" https://gitlab',
    "curl-H-xapi": "curl --header 'x-api-key: ~' https://h",
    "curl-u-noquote": "curl -sS -u bob:~ https://h",
    "wget": "wget --http-password=~ --http-user=b https://h",
    "yaml-quoted": 'snowflake:\n  account: abc\n  password: "~"\n',
    "yaml-block": "api_token: |\n  ~\nother: 1",
    "yaml-folded": "password: >-\n    ~\nhost: x",
    "tfvars": 'db_password   = "~"\nregion = "eu"',
    "tfvars-long": 'aws_secret_access_key          = "~"',
    "npmrc": "//registry.npmjs.org/:_authToken=~",
    "npmrc-auth": "_auth=Ym9i~K7xQ9K7xQ9K7xQ9K7xQ9",
    "npmrc-password": "//registry.acme.io/:_password=~",
    "pip-extra": "pip install --extra-index-url https://__token__:~@pypi.acme.io/simple pkg",
    "pip-gemfury": "--index-url https://7Xk2~K7xQ9K7xQ9K7xQ9K7xQ9@pypi.fury.io/acme/",
    "jdbc": "jdbc:postgresql://db:5432/x?user=bob&password=~&ssl=true",
    "jdbc-oracle": "jdbc:oracle:thin:bob/~@//db:1521/X",
    "jdbc-sqlserver": "jdbc:sqlserver://db:1433;databaseName=x;user=sa;password=~;encrypt=true",
    "odbc": "Driver={ODBC Driver 18};Server=db;Uid=sa;PWD=~;Encrypt=yes",
    "odbc-braces": "Driver={ODBC};UID=sa;PWD={~};",
    "auth-dict": "{'Authorization': 'Basic Ym9iOm~K7xQ9K7xQ9K7xQ9K7xQ9='}",
    "auth-tuple": "headers=[('Authorization', 'Bearer ~')]",
    "auth-token": "'authorization': b'Token ~'",
    "httpx-auth": "auth=('bob', '~')",
    "requests-auth": "requests.get(url, auth=HTTPBasicAuth('bob', '~'))",
    "json-3": '"{\\\\\\"password\\\\\\": \\\\\\"~\\\\\\"}"',
    "multiline-json": '{\n  "password":\n     "~"\n}',
    "aws-creds-file": "[default]\naws_access_key_id = AKIAABCD2345EFGH6789\naws_secret_access_key = ~K7xQ9K7xQ9K7xQ9K7xQ9/~",
    "set-x": "+ export 'API_TOKEN=~'",
    "env-quoted": 'declare -x DB_PASSWORD="~"',
    "powershell": '$env:DB_PASSWORD = "~"',
    "windows-set": "set DB_PASSWORD=~",
    "traceback": "Traceback (most recent call last):\n  File \"x.py\", line 3\n    connect(password='~')\n            ^^^^^^^^^\nsqlalchemy.exc.OperationalError: (Background) password=~ host=db",
    "pydantic-error": "password\n  String should match [type=x, input_value='~', input_type=str]",
    "parameters-log": "Beginning flow run with parameters {'user': 'bob', 'api_key': '~'}",
    "log-arrow": "api_key -> ~",
    "log-is": "password is ~",
    "log-with-quotes": "using token '~' for login",
    "login-pw": "Login failed for user bob with password ~",
    "snowflake-connector": "snowflake.connector.connect(user='b',password='~',account='x')",
    "dbt-profile": "    pass: ~\n    port: 5432",
    "dbt-token-profile": "      token: ~\n      http_path: /sql",
    "kafka-jaas": 'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="~";',
    "kafka-conf": "'sasl.password': '~', 'sasl.username': 'u'",
    "spark-s3a": "spark.hadoop.fs.s3a.secret.key=~",
    "spark-s3a-conf": "--conf spark.hadoop.fs.s3a.access.key=~",
    "smtp": "smtp://bob:~@mail:587",
    "ftp": "sftp://bob:~@h/x",
    "airflow-conn": "AIRFLOW_CONN_PG=postgres://u:~@h/db",
    "ssh-askpass": "sshpass -p '~' ssh h",
    "openssl-pass": "openssl rsa -in k -passin pass:~",
    "header-cased": "X-Auth-Token: ~",
    "header-vault": "X-Vault-Token: ~",
    "graphql": 'mutation { login(email: "b@x.io", password: "~") { token } }',
    "form": "grant_type=client_credentials&client_id=abc&client_secret=~&scope=x",
    "refresh": '"refresh_token":"~","expires_in":3600',
    "otp": "otp_secret: ~",
    "ini": "[db]\npassword=~\n",
    "toml-inline": 'db = { user = "b", password = "~" }',
    "helm": "helm upgrade x --set auth.password=~ --set image.tag=1",
    "terraform-var": "terraform apply -var 'db_password=~'",
    "ansible": "ansible_become_pass=~",
    "camel": "{dbPassword: '~'}",
    "space-name": "DB Password: ~",
    "xml": "<password>~</password>",
    "xml-attr": '<add key="ApiKey" value="~"/>',
    "name-value-text": '{"name": "DB_PASSWORD", "value": "~"}',
    "name-value-k8s": "- name: DB_PASSWORD\n  value: ~\n- name: X\n  value: y",
    "ecs-env": "{'name': 'API_TOKEN', 'value': '~'}",
}
NAMES = (
    "DB_PASSWORD",
    "API_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "DBT_ENV_SECRET_X",
    "SECRET_KEY_BASE",
    "REDIS_AUTH",
)
IN_THE_WILD["environment"] = "\n".join(f"export {name}=~" for name in (*NAMES, "DD_APP_KEY", "FERNET_KEY"))
IN_THE_WILD["sentry"] = "dsn=https://~0123456789abcdef@o123.ingest.sentry.io/456"
IN_THE_WILD["kubeconfig"] = "    client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ~=="


@pytest.mark.parametrize("text", IN_THE_WILD.values(), ids=IN_THE_WILD)
def test_a_secret_goes_where_it_really_occurs(text: str) -> None:
    shown = redact(text.replace("~", S))
    assert S not in shown
    assert "[secret hidden: " in shown
    assert redact(shown) == shown


@pytest.mark.parametrize("text", BY_PLACE.values(), ids=BY_PLACE)
def test_a_secret_goes_by_where_it_stands(text: str) -> None:
    shown = redact(text)
    assert S not in shown
    assert "hunterxyz" not in shown
    assert "=12345678" not in shown
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


ORDINARY = [
    "flow run 0a7b85f3-1e0e-45de-ac87-f7ed8f5b5dd1 entered Completed",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Pulled image ghcr.io/acme/etl:1.4.2@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "HEAD is now at 3366378 End the symbol reader",
    "git checkout 833555d2c0ffee1234567890abcdef1234567890",
    "outstanding-tuatara",
    "Created flow run 'jovial-petrel' for flow 'parent'",
    "cron 0 6 * * 1-5 (Europe/Berlin)",
    "FREQ=DAILY;BYHOUR=6;COUNT=10",
    "http://127.0.0.1:4200/runs/flow-run/0a7b85f3-1e0e-45de-ac87-f7ed8f5b5dd1",
    "https://app.prefect.cloud/account/8ead0ac6-25ac-400a-ab39-34c4eab311e8/workspace/9ead0ac6-25ac-400a-ab39-34c4eab311e8",
    "part-00000-tid-4472382372837283-c000.snappy.parquet",
    "aGVsbG8gd29ybGQgdGhpcyBpcyBhIGZpbGU.parquet",
    "s3://acme-lake/orders/dt=2026-11-22/part-0001.parquet",
    "gs://bucket/token-stats/2026.csv",
    "arn:aws:iam::123456789012:role/etl-runner",
    "arn:aws:ecs:eu-west-1:123456789012:task-definition/prefect_x:12",
    "flows/etl.py:main",
    "etl-7d9f8b6c5d-x2k9p",
    "prefect-job-8s7dk-hq2xz",
    "3.8.8+12.g833555d",
    "prefect==3.8.8",
    "2026-11-22T21:58:31.120805Z",
    "{{ prefect.blocks.secret.x }}",
    "$ref: '#/definitions/Token'",
    "token_count=512",
    "max_tokens: 4096",
    "completion_tokens=20 prompt_tokens=100",
    "num_tokens = 7",
    "tokens/s: 120.5",
    "password: null",
    "password: ''",
    "secret_name: db-prod",
    "secret-name = db-prod-2",
    "secretName: tls-1",
    "pass the value key=value to it",
    "api_key_id",
    "SELECT api_key_id, token_hash FROM users",
    "column 'customer_id' is missing in orders for 2026-01-01",
    "    ^^^^^^^^^^^^^^^^^^^^^^^^",
    '  File "/usr/lib/python3.11/site-packages/prefect/blocks/core.py", line 1234, in load',
    "ValueError: Unable to find block document named db-creds for block type secret",
    "KeyError: 'api_key'",
    "TypeError: connect() got an unexpected keyword argument 'password'",
    "missing 1 required positional argument: 'token'",
    'password authentication failed for user "bob"',
    "Invalid password for user bob42",
    "token expired at 2026-11-22T10:00:00Z",
    "Token is not valid yet (iat=1700000000)",
    "the access token was refreshed",
    "Authorization failed",
    "AuthorizationError: 403",
    "auth: oauth2",
    "auth_type=basic",
    "auth=None",
    "author=bob99",
    "authority: login.microsoftonline.com",
    "key=customer_id",
    "primary_key: order_id2",
    "sort_key=updated_at2",
    "partition_key: dt2026",
    "foreign key orders_2",
    "result_storage_key='a/b/{flow_run.id}.pickle'",
    "cache_key_fn=task_input_hash",
    "cache key 5f2a9b0c1d",
    "keyboard interrupt 2",
    "monkey=banana7",
    "idempotency_key=bot:8ead0ac6:171234.5678",
    "task_key: extract-52b2662a",
    "dynamic_key: c2a06bc2-2d81-403a-a353-90940075fd4b",
    "key: etl/nightly-2026",
    "compass_heading=n0rth",
    "passed=12 failed=1 skipped=3",
    "bypass: v2",
    "passenger_count: 4k",
    "pass_rate=0.98",
    "Using credentials from /root/.aws/credentials",
    "credential_type: service_account",
    "AWS_REGION=eu-west-1",
    "AWS_PROFILE=prod-2",
    "AWS_DEFAULT_REGION: us-east-1",
    "GOOGLE_APPLICATION_CREDENTIALS=/run/secrets/gcp.json",
    "access_key_rotation: 90d",
    "secrets_manager: vault-2",
    "secret_version: 12",
    "secret_arn=arn:aws:secretsmanager:eu:1:secret:x-AbC123",
    "tokenizer=bert-base-uncased2",
    "tokenize: v2fast",
    "detokenized 12abc",
    "token_type: bearer",
    "token_url: https://h/oauth2/token",
    "encryption: AES256",
    "encryption_key_id: 8ead0ac6",
    "kms_key_id=arn:aws:kms:eu:1:key/8ead",
    "signing_algorithm=RS256",
    "ssh_key_path=~/.ssh/id_rsa",
    "private_key_path: /run/k.pem",
    "public_key=AAAAB3NzaC1yc2E",
    "ssl_key: /etc/ssl/k.pem",
    "-----BEGIN CERTIFICATE-----\nMIIBabc\n-----END CERTIFICATE-----",
    "certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUM=",
    "docker run -p 8080:80 img",
    "mkdir -p /data/x1",
    "ssh -p 2222 bob@h",
    "psql -p 5432 -h db",
    "mysql -h db -P 3306 -u root",
    "docker login registry.io",
    "7z x a.7z -o/tmp",
    "redis-cli -h cache -p 6379 ping",
    "curl -u bob https://h",
    "git commit -a",
    "python -m etl --token-limit 500 --retries 3",
    "--secret-name db-1",
    "--key-file /run/k1.json",
    "name: DB_HOST\nvalue: db-1.internal",
    '{"name": "TOKEN_LIMIT", "value": "500"}',
    '{"name": "password_file", "value": "/run/p"}',
    "<token>...</token>",
    "<tokenCount>512</tokenCount>",
    "<b>password</b> reset",
    "password -> str",
    "def f(token) -> Token2: ...",
    "password is required",
    "password is too short (8 characters)",
    "password was reset",
    "with password authentication",
    "api key is missing",
    "the token 'access' is not known",
    "unexpected token '}' at line 12",
    "Unexpected token < in JSON at position 0",
    "token 'ID' expected",
    "password:\n  - minLength: 8",
    "token: |\nnext: 1",
    "description: |\n  the password is stored elsewhere",
    "String should have at least 8 characters [type=string_too_short, input_value='abc', input_type=str]",
    "rows\n  Input should be a valid integer [type=int_parsing, input_value='abc1', input_type=str]",
    "session_id=01a2053d-7f7b-7970-a783-2bd9d6a8f6bb",
    "trace_id: 0af7651916cd43dd8448eb211c80319c",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    'etag: "d41d8cd98f00b204e9800998ecf8427e"',
    "md5=d41d8cd98f00b204e9800998ecf8427e",
    "Signature version 4",
    "function signature=(x, y)",
    "SG.pipeline.stage.two",
    "hf_hub_download",
    "glue-job-1",
    "dp.read_csv",
    "gh pr view 12",
    "npm_config_cache=/x",
    "xoxo-love",
    "pnu_ is the prefix of an API key",
    "work_queue_key=default",
    "app_key_name: etl",
    "app.key.count=3",
    "client_key_id=abc123",
    "jwt_key_url=https://h/jwks.json",
    "os.environ['DB_PASSWORD']",
    "settings.api_key.get_secret_value()",
    "Secret.load('db-prod-2')",
    "Secret(value=SecretStr('**********'))",
    "SecretStr('')",
    "auth=(user, password)",
    "auth=('user', 'password')",
    "HTTPBasicAuth(user, settings.pw2)",
    "jdbc:oracle:thin:@//db:1521/X",
    "jdbc:postgresql://db:5432/x?user=bob",
    "PWD=/root/work2",
    "OLDPWD=/srv/app2",
    "DSN=warehouse_2",
]


@pytest.mark.parametrize("text", [*LOOK_ALIKES, *ORDINARY])
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_the_corpora_are_not_small() -> None:
    assert len(BY_SHAPE) + len(BY_PLACE) + len(IN_THE_WILD) >= 150
    assert len(LOOK_ALIKES) + len(ORDINARY) >= 150


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


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"block_type_slug": "secret", "data": {"value": S}}, id="secret-block"),
        pytest.param({"block_type": {"slug": "secret"}, "data": {"value": S}}, id="secret-block-document"),
        pytest.param({"env": [{"Name": "API_TOKEN", "Value": S}]}, id="pair-in-capitals"),
        pytest.param([{"key": "DB_PASSWORD", "value": S}], id="key-and-value"),
        pytest.param({"secret": {"value": S}}, id="value-below-a-secret"),
        pytest.param({"auth": ["bob", S]}, id="login-and-password"),
        pytest.param({"args": ["--password", S, "--verbose"]}, id="option-and-its-value"),
        pytest.param({"headers": [["Authorization", f"Bearer {S}"]]}, id="header-as-a-pair"),
        pytest.param({"payload": json.dumps({"password": S})}, id="json-in-a-text"),
    ],
)
def test_a_secret_in_data_goes_by_what_stands_around_it(data: Any) -> None:
    assert S not in json.dumps(redact_data(data))


@pytest.mark.parametrize(
    "data",
    [
        {"key": "orders", "value": "x1"},
        {"name": "TOKEN_LIMIT", "value": "500"},
        {"block_type_slug": "json", "data": {"value": {"a": 1}}},
        {"secret": {"name": "x", "type": "Opaque"}},
        {"password": {"title": "Password", "type": "string", "default": None}},
        {"auth": ["bob"], "args": ["--token-limit", "500"], "tokens": ["a1b2"]},
        {"credentials": {"value": "gcp"}},
    ],
)
def test_data_that_only_speaks_of_secrets_stays(data: Any) -> None:
    assert redact_data(data) == data


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
        "mysql " * 8_000,
        "auth=(" * 8_000,
        "<a>" * 15_000,
        "name: token\n" * 4_000,
        "password is " * 4_000,
        "token " + " " * 50_000,
        'token\\"' * 8_000,
    ):
        assert redact(text) == text
