"""Several Prefect workspaces by name: which one a message is about, and what a broken file says."""

from pathlib import Path

import pytest

from bot.workspaces import ONLY, Workspace, Workspaces, load_workspaces
from knowledge.errors import BadInput
from tests.house import AppFactory, ask
from tests.prefect_seed import Seed
from tools.prefect_client import PrefectClient
from tools.toolbox import Toolbox

TWO = """
default = "staging"
[workspaces.prod]
api_url = "https://prod.example.com/api"
api_key_env = "PROD_KEY"
[workspaces.staging]
api_url = "http://staging.example.com:4200/api"
[channels]
C0OPS = "prod"
"""


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "workspaces.toml"
    path.write_text(text)
    return path


def several(*names: str, default: str, channels: dict[str, str] | None = None) -> Workspaces:
    members = [Workspace(name, None, PrefectClient(None), Toolbox([])) for name in names]
    return Workspaces(members, default=default, channels=channels)


WORKSPACES = several("prod", "staging", default="staging", channels={"C0OPS": "prod"})


@pytest.mark.parametrize(
    ("channel", "text", "name", "left"),
    [
        ("C1", "pools", "staging", "pools"),
        ("C0OPS", "pools", "prod", "pools"),
        ("C1", "prod: why etl/nightly", "prod", "why etl/nightly"),
        ("C1", "PROD: pools", "prod", "pools"),
        ("C0OPS", "staging: pools", "staging", "pools"),
        ("C1", "why is etl/nightly late in prod?", "prod", "why is etl/nightly late?"),
        ("C1", "runs late on prod", "prod", "runs late"),
        ("C1", "how do I promote to prod", "staging", "how do I promote to prod"),
        ("C1", "product: what is it?", "staging", "product: what is it?"),
        ("C1", "is prod: the name of a pool?", "staging", "is prod: the name of a pool?"),
    ],
)
def test_a_word_beats_the_channel_and_the_channel_beats_the_default(
    channel: str, text: str, name: str, left: str
) -> None:
    workspace, rest = WORKSPACES.pick(channel, text)
    assert (workspace.name, rest) == (name, left)


def test_a_message_of_blanks_is_not_searched_for_a_name() -> None:
    text = "pools in prod" + " " * 40_000
    assert WORKSPACES.pick("C1", text) == (WORKSPACES.get("staging"), text)


def test_with_one_workspace_no_word_is_taken_for_a_name() -> None:
    one = several(ONLY, default=ONLY)
    assert one.pick("C1", "default: what is that?")[1] == "default: what is that?"


def test_a_command_is_typed_with_the_name_only_where_it_is_needed() -> None:
    assert WORKSPACES.typed("prod", "C0OPS", "retry x-1") == "retry x-1"
    assert WORKSPACES.typed("prod", "C1", "retry x-1") == "prod: retry x-1"


def test_a_workspace_that_is_gone_is_said_so() -> None:
    with pytest.raises(BadInput, match="no Prefect workspace 'dev'"):
        WORKSPACES.get("dev")


def test_the_file_gives_connections_with_secrets_from_variables(tmp_path: Path) -> None:
    config = load_workspaces(file_of(tmp_path, TWO), {"PROD_KEY": "pnu_secret"}, tmp_path)
    prod, staging = config.connections["prod"], config.connections["staging"]
    assert prod is not None
    assert staging is not None
    assert prod.api_key is not None
    assert prod.api_key.get_secret_value() == "pnu_secret"
    assert staging.api_key is None
    assert (config.default, config.channels) == ("staging", {"C0OPS": "prod"})


def test_a_profile_is_found_by_name_and_the_environment_does_not_reach_it(tmp_path: Path) -> None:
    profiles = tmp_path / ".prefect" / "profiles.toml"
    profiles.parent.mkdir()
    profiles.write_text('[profiles.live]\nPREFECT_API_URL = "http://live.example.com/api"\n')
    text = 'default = "live"\n[workspaces.live]\nprofile = "live"\n'
    environ = {"PREFECT_API_URL": "http://other.example.com/api", "PREFECT_API_KEY": "pnu_other"}
    connection = load_workspaces(file_of(tmp_path, text), environ, tmp_path).connections["live"]
    assert connection is not None
    assert (connection.api_url, connection.api_key) == ("http://live.example.com/api", None)


def test_without_a_file_there_is_one_workspace(tmp_path: Path) -> None:
    config = load_workspaces(None, {"PREFECT_API_URL": "http://one.example.com/api"}, tmp_path)
    assert list(config.connections) == [config.default] == [ONLY]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('default = "prod"\n', "workspaces: Field required"),
        ('default = "dev"\n[workspaces.prod]\nprofile = "p"\n', r"there is no \[workspaces.dev\]"),
        ('default = "prod"\n[workspaces.prod]\n', "give either profile or api_url"),
        ('default = "prod"\n[workspaces.prod]\nprofile = "p"\napi_url = "http://x/api"\n', "either profile"),
        ('default = "prod"\n[workspaces.prod]\nprofile = "p"\napi_key_env = "K"\n', "its own credentials"),
        ('default = "prod"\n[workspaces.prod]\nkey = "p"\n', "workspaces.prod.key"),
        ('default = "prod"\n[workspaces.prod]\nprofile = "p"\n[channels]\nops = "prod"\n', "channels.ops"),
        ('default = "a b"\n[workspaces."a b"]\nprofile = "p"\n', "workspaces.a b"),
        ("default = \n", "is not valid TOML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_workspaces(file_of(tmp_path, text), {}, tmp_path)


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"PROD_KEY, which \[workspaces.prod\] names, is not set"):
        load_workspaces(file_of(tmp_path, TWO), {}, tmp_path)


async def test_the_same_words_ask_another_server_and_its_card_stays_there(
    app_for: AppFactory, prefect_url: str, seed: Seed, tmp_path: Path
) -> None:
    deployment = await seed.deployment()
    nowhere = "http://127.0.0.1:9/api"
    text = f'default = "empty"\n[workspaces.empty]\napi_url = "{nowhere}"\n[workspaces.full]\n'
    path = file_of(tmp_path, f'{text}api_url = "{prefect_url}"\n')
    async with app_for(ASK_MARVIN_WORKSPACES=str(path)) as app:
        here = await ask(app, f"run {deployment['full_name']}")
        assert here.failure is not None
        assert here.failure.code == "unreachable"
        there = await ask(app, f"full: run {deployment['full_name']}")
        (card,) = there.cards
        assert card.workspace == "full"
        assert ("Workspace", "full") in [(fact.label, fact.value) for fact in card.proposal.facts]
        edited = await app.edits.revised(card, {})
        assert edited.facts == card.proposal.facts
        assert "This is the workspace `full`" in (await ask(app, "status on full")).text
