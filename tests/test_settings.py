"""The settings: read from a mapping, said to be wrong without showing a value, and handed on to a child."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from bot.settings import DEFAULT_MODEL, Settings, read_environ, settings_table
from knowledge.errors import BadInput

SECRET = "do-not-print-me"
EVERYTHING = {
    "SLACK_BOT_TOKEN": f"xoxb-{SECRET}",
    "SLACK_APP_TOKEN": f"xapp-{SECRET}",
    "SLACK_SIGNING_SECRET": SECRET,
    "SLACK_API_URL": "https://slack-gov.com/api/",
    "OPENAI_API_KEY": f"sk-{SECRET}",
    "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1",
    "DATABASE_URL": f"postgresql://marvin:{SECRET}@127.0.0.1/marvin",
    "CHROMA_URL": "http://127.0.0.1:8000",
    "GITHUB_TOKEN": "ghp_1",
    "ASK_MARVIN_HOME": "/var/lib/ask-marvin",
    "ASK_MARVIN_SOURCES": "/etc/sources.toml",
    "ASK_MARVIN_POLICY": "/etc/policy.toml",
    "ASK_MARVIN_WORKSPACES": "/etc/workspaces.toml",
    "ASK_MARVIN_MODEL": "llama4",
    "ASK_MARVIN_EMBEDDER": "minilm",
    "ASK_MARVIN_EMBEDDING_MODEL": "nomic-embed-text",
    "ASK_MARVIN_PERSONA": "plain",
    "ASK_MARVIN_HOST": "0.0.0.0",
    "ASK_MARVIN_PORT": "8080",
    "ASK_MARVIN_RETENTION_DAYS": "7",
    "ASK_MARVIN_LOG_LEVEL": "DEBUG",
}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(BadInput) as raised:
        Settings.from_env(environ)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_nothing_needs_to_be_set() -> None:
    settings = Settings.from_env({})
    assert settings.model == DEFAULT_MODEL
    assert settings.slack_bot_token is None
    assert not settings.has_model
    assert settings.home == Path.home() / ".ask-marvin"
    assert settings.index_folder == settings.home / "index"


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(EVERYTHING)
    assert set(EVERYTHING) == Settings.variables()
    assert settings.environ() == EVERYTHING


def test_what_is_handed_to_a_child_gives_the_same_settings() -> None:
    for given in ({}, EVERYTHING, {"ASK_MARVIN_HOME": "~/marvin", "ASK_MARVIN_PORT": "0"}):
        settings = Settings.from_env(given)
        assert Settings.from_env(settings.environ()) == settings


def test_an_empty_value_counts_as_not_set() -> None:
    empty = Settings.from_env(dict.fromkeys(EVERYTHING, " "))
    assert empty == Settings.from_env({})


def test_a_line_break_at_the_end_of_a_secret_is_not_part_of_it() -> None:
    settings = Settings.from_env({"SLACK_BOT_TOKEN": f"xoxb-{SECRET}\n"})
    assert settings.slack_bot_token == SecretStr(f"xoxb-{SECRET}")


def test_variables_of_others_are_not_looked_at() -> None:
    assert Settings.from_env({"ASK_MARVIN_TYPO": "x", "home": "/elsewhere"}) == Settings.from_env({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("ASK_MARVIN_PORT", SECRET, id="no number"),
        pytest.param("ASK_MARVIN_PORT", "70000", id="a number too great"),
        pytest.param("ASK_MARVIN_RETENTION_DAYS", "0", id="a number too small"),
        pytest.param("ASK_MARVIN_EMBEDDER", SECRET, id="an unknown choice"),
        pytest.param("ASK_MARVIN_PERSONA", "zaphod", id="an unknown persona"),
        pytest.param("OPENAI_BASE_URL", "localhost:11434/v1", id="an address without its scheme"),
        pytest.param("CHROMA_URL", SECRET, id="no address"),
        pytest.param("SLACK_API_URL", "ftp://slack.com/api/", id="an address of another kind"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_shown(name: str, value: str) -> None:
    said = refusal({**EVERYTHING, name: value})
    assert name in said
    assert SECRET not in said


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refusal({"ASK_MARVIN_PORT": "x", "ASK_MARVIN_PERSONA": "y"})
    assert "ASK_MARVIN_PORT" in said
    assert "ASK_MARVIN_PERSONA" in said


def test_no_secret_shows_when_settings_are_printed_or_dumped() -> None:
    settings = Settings.from_env(EVERYTHING)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json()


def test_settings_do_not_change() -> None:
    settings = Settings.from_env({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.model = "another"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "OPENAI_BASE_URL"])
def test_a_key_or_a_server_is_enough_for_a_model(name: str) -> None:
    assert Settings.from_env({name: EVERYTHING[name]}).has_model


def test_a_variable_that_is_set_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('ASK_MARVIN_MODEL="from the file"\nASK_MARVIN_PORT=1\nLONELY\n')
    environ = read_environ({"ASK_MARVIN_PORT": "2"}, tmp_path)
    assert environ == {"ASK_MARVIN_MODEL": "from the file", "ASK_MARVIN_PORT": "2"}


def test_no_file_is_needed(tmp_path: Path) -> None:
    assert read_environ({"A": "b"}, tmp_path) == {"A": "b"}


def test_the_table_tells_of_every_variable_and_of_no_folder_of_this_machine() -> None:
    table = settings_table()
    for name in (*Settings.variables(), "PREFECT_API_URL"):
        assert f"| `{name}` |" in table
    assert str(Path.home()) not in table
