from pathlib import Path

import pytest

from knowledge.errors import BadInput
from tools.connection import resolve_connection

CLOUD = "https://api.prefect.cloud/api/accounts/11111111-1111-4111-8111-111111111111/workspaces/22222222-2222-4222-8222-222222222222"


def write_profiles(home: Path, text: str) -> Path:
    path = home / ".prefect" / "profiles.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


PROD = """
active = "prod"
[profiles.prod]
PREFECT_API_URL = "https://prefect.acme.io/api/"
PREFECT_API_KEY = "pnu_of_prod"
[profiles.dev]
PREFECT_API_URL = "http://127.0.0.1:4201/api"
"""


def test_the_environment_gives_url_and_credentials(tmp_path: Path) -> None:
    environ = {"PREFECT_API_URL": "http://host:4200/api/", "PREFECT_API_AUTH_STRING": "admin:pa:ss"}
    connection = resolve_connection(environ, tmp_path)
    assert connection is not None
    assert connection.api_url == "http://host:4200/api"
    assert connection.auth_string is not None
    assert connection.auth_string.get_secret_value() == "admin:pa:ss"
    assert (connection.address, connection.source) == ("host:4200", "the environment")
    assert not connection.is_cloud


def test_the_key_of_a_profile_is_never_sent_to_the_url_of_the_environment(tmp_path: Path) -> None:
    write_profiles(tmp_path, PROD)
    connection = resolve_connection({"PREFECT_API_URL": "http://other:4200/api"}, tmp_path)
    assert connection is not None
    assert connection.api_url == "http://other:4200/api"
    assert connection.api_key is None


def test_the_key_of_the_environment_is_never_sent_to_the_url_of_a_profile(tmp_path: Path) -> None:
    write_profiles(tmp_path, PROD)
    connection = resolve_connection({"PREFECT_API_KEY": "pnu_of_environment"}, tmp_path)
    assert connection is not None
    assert connection.api_key is not None
    assert connection.api_key.get_secret_value() == "pnu_of_prod"
    assert "PREFECT_API_KEY in the environment is not used" in connection.notes[0]


def test_the_active_profile_is_used_when_the_environment_has_no_url(tmp_path: Path) -> None:
    path = write_profiles(tmp_path, PROD)
    connection = resolve_connection({"PREFECT_API_URL": ""}, tmp_path)
    assert connection is not None
    assert connection.api_url == "https://prefect.acme.io/api"
    assert connection.source == f"profile 'prod' in {path}"


def test_another_profile_can_be_chosen_by_name(tmp_path: Path) -> None:
    write_profiles(tmp_path, PROD)
    connection = resolve_connection({"PREFECT_PROFILE": "dev"}, tmp_path)
    assert connection is not None
    assert connection.api_url == "http://127.0.0.1:4201/api"
    assert connection.api_key is None


def test_the_built_in_local_profile_has_its_usual_address(tmp_path: Path) -> None:
    write_profiles(tmp_path, 'active = "local"\n[profiles]\n')
    connection = resolve_connection({}, tmp_path)
    assert connection is not None
    assert connection.api_url == "http://127.0.0.1:4200/api"


@pytest.mark.parametrize("variable", ["PREFECT_HOME", "PREFECT_PROFILES_PATH"])
def test_the_profiles_can_lie_elsewhere(tmp_path: Path, variable: str) -> None:
    path = write_profiles(tmp_path, PROD)
    value = path.parent if variable == "PREFECT_HOME" else path
    connection = resolve_connection({variable: str(value)}, tmp_path / "nobody")
    assert connection is not None
    assert connection.address == "prefect.acme.io"


def test_without_any_setting_there_is_no_connection(tmp_path: Path) -> None:
    assert resolve_connection({}, tmp_path) is None


def test_a_cloud_workspace_is_recognised_and_has_its_own_ui(tmp_path: Path) -> None:
    connection = resolve_connection({"PREFECT_API_URL": CLOUD, "PREFECT_API_KEY": "pnu_x"}, tmp_path)
    assert connection is not None
    assert connection.is_cloud
    assert connection.ui_url == (
        "https://app.prefect.cloud/account/11111111-1111-4111-8111-111111111111"
        "/workspace/22222222-2222-4222-8222-222222222222"
    )


def test_the_ui_can_lie_elsewhere_than_the_api(tmp_path: Path) -> None:
    environ = {"PREFECT_API_URL": "http://api:4200/api", "PREFECT_UI_URL": "https://prefect.acme.io/"}
    connection = resolve_connection(environ, tmp_path)
    assert connection is not None
    assert connection.ui_url == "https://prefect.acme.io"


def test_headers_and_tls_settings_are_read(tmp_path: Path) -> None:
    environ = {
        "PREFECT_API_URL": "https://host/api",
        "PREFECT_CLIENT_CUSTOM_HEADERS": '{"CF-Access-Client-Id": "x"}',
        "PREFECT_API_TLS_INSECURE_SKIP_VERIFY": "True",
    }
    connection = resolve_connection(environ, tmp_path)
    assert connection is not None
    assert connection.headers["CF-Access-Client-Id"].get_secret_value() == "x"
    assert not connection.verify_tls


def test_no_secret_shows_when_a_connection_is_printed(tmp_path: Path) -> None:
    environ = {
        "PREFECT_API_URL": "https://host/api",
        "PREFECT_API_KEY": "pnu_hidden1",
        "PREFECT_API_AUTH_STRING": "admin:hidden2",
        "PREFECT_CLIENT_CUSTOM_HEADERS": '{"X-Token": "hidden3"}',
    }
    assert "hidden" not in repr(resolve_connection(environ, tmp_path))


@pytest.mark.parametrize(
    ("environ", "sentence", "fix"),
    [
        pytest.param({"PREFECT_API_URL": "http://host:4200"}, "does not end in /api", "add it", id="no-api"),
        pytest.param({"PREFECT_API_URL": "host:4200/api"}, "not an http address", "http://", id="no-scheme"),
        pytest.param({"PREFECT_API_URL": "http://[host/api"}, "not an http address", "http://", id="broken"),
        pytest.param({"PREFECT_API_URL": "http://h:99999/api"}, "not an http address", "http://", id="port"),
        pytest.param(
            {"PREFECT_API_URL": "https://api.prefect.cloud"},
            "does not name a workspace",
            "accounts",
            id="cloud",
        ),
        pytest.param(
            {"PREFECT_API_URL": "http://me:pw@host/api"},
            "user name or password",
            "AUTH_STRING",
            id="userinfo",
        ),
        pytest.param(
            {"PREFECT_API_URL": "http://h/api", "PREFECT_API_KEY": "pnu_…"},
            "cannot be sent",
            "again",
            id="key",
        ),
        pytest.param(
            {"PREFECT_API_URL": "http://h/api", "PREFECT_CLIENT_CUSTOM_HEADERS": "[1]"},
            "not a JSON object",
            "Write it",
            id="headers",
        ),
        pytest.param(
            {"PREFECT_API_URL": "http://h/api", "PREFECT_API_SSL_CERT_FILE": "/nowhere.pem"},
            "does not exist",
            "PEM",
            id="certificate",
        ),
        pytest.param({"PREFECT_PROFILE": "nope"}, "no Prefect profile 'nope'", "profile use", id="profile"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mending(
    tmp_path: Path, environ: dict[str, str], sentence: str, fix: str
) -> None:
    with pytest.raises(BadInput) as caught:
        resolve_connection(environ, tmp_path)
    assert sentence in caught.value.message
    assert fix in caught.value.fix
    assert "pw@" not in str(caught.value)


@pytest.mark.parametrize("text", ["[profiles", "profiles = 3", 'active = "x"\n[profiles]\nx = 1'])
def test_a_malformed_profiles_file_is_named_without_its_content(tmp_path: Path, text: str) -> None:
    write_profiles(tmp_path, f"{text}\n# pnu_secret")
    with pytest.raises(BadInput) as caught:
        resolve_connection({}, tmp_path)
    assert "profiles.toml" in caught.value.message
    assert "pnu_secret" not in str(caught.value)
