"""The command line, run as people run it: its output, its JSON and its exit status."""

import json
from pathlib import Path

import pytest

import knowledge
from tests.command_line import Cli

GUIDE = Path(knowledge.__file__).with_name("field_guide")


@pytest.fixture
def cli(home: Path, tmp_path: Path) -> Cli:
    return Cli(home, tmp_path)


def test_ask_gives_one_json_document_with_all_that_was_promised(cli: Cli) -> None:
    answer = cli.json("ask", "what is a workpool?")
    assert set(answer) == {
        *("answer", "citations", "tool_calls", "actions", "mode", "abstained", "timings", "usage"),
        *("offers", "pictures"),
    }
    assert answer["mode"] == "extractive"
    assert answer["abstained"] is False
    assert set(answer["citations"][0]) == {"n", "title", "url", "source"}
    assert set(answer["tool_calls"][0]) == {"name", "args", "ok", "ms"}
    assert answer["timings"]["total"] >= 0


def test_ask_prints_the_answer_and_its_sources(cli: Cli) -> None:
    done = cli.run("ask", "what is a workpool?")
    assert done.returncode == 0
    assert "work pool" in done.stdout
    assert "[1] Work pools" in done.stdout
    assert "https://docs.prefect.io/v3/concepts/work-pools" in done.stdout


def test_the_question_may_come_from_a_pipe(cli: Cli) -> None:
    assert "worker" in cli.run("ask", stdin="what is a worker?\n").stdout


@pytest.mark.slow
def test_without_an_index_the_first_question_builds_the_field_guides(tmp_path: Path) -> None:
    fresh = Cli(tmp_path / "fresh", tmp_path)
    first = fresh.run("ask", "what is a work pool?", "--json")
    assert json.loads(first.stdout)["citations"]
    assert "field guide" in first.stderr
    assert fresh.run("ask", "what is a work pool?").stderr.strip() == ""


@pytest.mark.slow
def test_a_damaged_index_is_noticed_and_built_again(tmp_path: Path) -> None:
    home = tmp_path / "fresh"
    fresh = Cli(home, tmp_path)
    fresh.run("ask", "what is a work pool?")
    for file in (home / "index").rglob("*.bin"):
        file.write_bytes(b"damage")
    done = fresh.run("ask", "what is a work pool?")
    assert done.returncode == 0
    assert "work-pools" in done.stdout
    assert "built again" in done.stderr


def test_another_embedder_than_the_indexs_is_an_error_that_names_the_way_out(cli: Cli) -> None:
    error = cli.json(
        "ask", "what?", status=2, ASK_MARVIN_EMBEDDER="openai", OPENAI_BASE_URL="http://127.0.0.1:9/v1"
    )["error"]
    assert error["code"] == "embedder_mismatch"
    assert "reindex --full" in error["fix"]


def test_search_gives_ranked_passages(cli: Cli) -> None:
    passages = cli.json("search", "workpool", "--top", "3")
    assert [passage["rank"] for passage in passages] == [1, 2, 3]
    assert set(passages[0]) == {"rank", "score", "page", "title", "heading", "url", "source", "text"}
    assert cli.here("search", "workpool").returncode == 0


@pytest.mark.slow
def test_reindex_reports_what_it_did(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "robots.md").write_bytes(b"# Robots\n\nA robot has a brain \xff\xfe the size of a planet.\n")
    sources = tmp_path / "sources.toml"
    sources.write_text(
        f'[[source]]\nname = "ours"\nkind = "files"\npath = "{pages}"\nbase_url = "https://docs.example.com"\n'
    )
    cli = Cli(tmp_path / "fresh", tmp_path)
    report = cli.json("reindex", ASK_MARVIN_SOURCES=str(sources))
    assert report["generation"] == 1
    pages_in_all = len(list(GUIDE.glob("*.md"))) + 1
    assert report["pages"]["added"] == pages_in_all
    assert {"changed", "unchanged", "removed", "failed"} < set(report["pages"])
    assert report["chunks"] > 100
    again = cli.here("reindex", ASK_MARVIN_SOURCES=str(sources))
    assert f"{pages_in_all} unchanged" in again.stdout
    assert "planet" in cli.here("search", "robots", ASK_MARVIN_SOURCES=str(sources)).stdout


def test_tools_are_listed_with_their_schemas(cli: Cli) -> None:
    tools = {tool["name"]: tool for tool in cli.json("tools")}
    assert {"search_docs", "list_work_pools", "explain_infrastructure", "trigger_run"} < set(tools)
    assert tools["trigger_run"]["writes"]
    assert not tools["read_logs"]["writes"]


def test_a_read_tool_prints_its_result(cli: Cli, prefect_url: str) -> None:
    done = cli.here("tool", "workspace_overview", PREFECT_API_URL=prefect_url)
    assert json.loads(done.stdout)["prefect_version"]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        pytest.param(["ask", ""], 2, "bad_input", id="empty-question"),
        pytest.param(["search", "x", "--top", "0"], 2, "bad_input", id="top-0"),
        pytest.param(["search"], 2, "bad_input", id="no-argument"),
        pytest.param(["reindex", "--source", "nope"], 2, "bad_input", id="unknown-source"),
        pytest.param(["tool", "nope"], 2, "unknown_tool", id="unknown-tool"),
        pytest.param(["tool", "read_page", "{"], 2, "bad_json", id="broken-json"),
        pytest.param(["tool", "trigger_run", "{}"], 4, "refused", id="writing-tool"),
        pytest.param(["tool", "list_work_pools"], 3, "unreachable", id="prefect-is-away"),
    ],
)
def test_an_error_is_one_json_document_and_an_exit_status(
    cli: Cli, arguments: list[str], status: int, code: str
) -> None:
    error = cli.json(*arguments, status=status, PREFECT_API_URL="http://127.0.0.1:9/api")["error"]
    assert error["code"] == code
    assert error["message"]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        pytest.param({"ASK_MARVIN_PORT": "many"}, "ASK_MARVIN_PORT", id="port"),
        pytest.param({"ASK_MARVIN_SOURCES": "/nowhere.toml"}, "/nowhere.toml", id="sources"),
        pytest.param({"ASK_MARVIN_POLICY": "/nowhere.toml"}, "/nowhere.toml", id="policy"),
        pytest.param({"DATABASE_URL": "mysql://h/d"}, "mysql", id="database"),
        pytest.param({"PREFECT_API_URL": "http://host:4200"}, "/api", id="prefect-url"),
    ],
)
def test_a_wrong_setting_is_one_sentence(cli: Cli, variables: dict[str, str], says: str) -> None:
    done = cli.here("ask", "what is a work pool?", **variables)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_says_which_token_is_missing(cli: Cli) -> None:
    done = cli.here("serve")
    assert done.returncode == 2
    assert "SLACK_BOT_TOKEN" in done.stderr
    assert "SLACK_APP_TOKEN" in cli.here("serve", SLACK_BOT_TOKEN="xoxb-1").stderr


def test_doctor_looks_at_everything_and_its_status_tells(cli: Cli, prefect_url: str) -> None:
    assert cli.here("doctor", PREFECT_API_URL=prefect_url).returncode == 0
    checks = {
        check["name"]: check
        for check in cli.json("doctor", status=3, PREFECT_API_URL="http://127.0.0.1:9/api")
    }
    assert checks["index"]["ok"]
    assert not checks["prefect"]["ok"]
    assert checks["prefect"]["fix"]


def test_doctor_tells_what_is_well_from_what_is_not_set_up(cli: Cli) -> None:
    shown = cli.here("doctor").stdout
    assert "✓ database" in shown
    assert all(f"○ {name}" in shown for name in ("model", "prefect", "slack bot token", "slack delivery"))
    assert "not set up" in shown
    set_up = {check["name"]: check["set_up"] for check in cli.json("doctor")}
    assert (set_up["database"], set_up["model"]) == (True, False)


def test_a_command_that_fails_has_the_same_error_and_status_as_the_tool(cli: Cli) -> None:
    away = "http://127.0.0.1:9/api"
    assert cli.json("ask", "pools", status=3, PREFECT_API_URL=away)["error"]["code"] == "unreachable"
    done = cli.here("ask", "pools", PREFECT_API_URL=away)
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stdout


def test_the_manifest_is_json_to_paste(cli: Cli) -> None:
    manifest = json.loads(cli.here("manifest", "--http", "https://bot.example.com").stdout)
    assert not manifest["settings"]["socket_mode_enabled"]
    assert "agent_view" not in manifest["features"]


def test_a_card_is_confirmed_only_when_asked_for(cli: Cli, tmp_path: Path) -> None:
    asked = cli.json("ask", "reindex field-guide")
    assert asked["actions"][0]["state"] == "open"
    declined = cli.run("ask", "reindex field-guide")
    assert "Nothing was done" in declined.stdout


def questions_file(folder: Path) -> Path:
    file = folder / "questions.jsonl"
    rows = [
        {
            "id": "1",
            "question": "what is a work pool?",
            "kind": "concept",
            "gold": ["v3/concepts/work-pools"],
        },
        {"id": "2", "question": "how do workers poll?", "kind": "howto", "gold": ["v3/concepts/workers"]},
        {"id": "3", "question": "which cheese goes with a pinot noir?", "kind": "unanswerable"},
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


def test_retrieval_is_scored_overall_and_by_kind(cli: Cli, tmp_path: Path) -> None:
    scored = cli.json("eval", "retrieval", "--questions", str(questions_file(tmp_path)))
    assert scored["questions"] == 2
    assert set(scored["kinds"]) == {"concept", "howto"}
    # Only the field guide is indexed here, whose own pages are left out.
    assert (scored["hit@1"], [missed["rank"] for missed in scored["missed"]]) == (0.0, [None, None])
    assert set(scored["latency_ms"]) == {"p50", "p95"}


def test_the_line_of_abstaining_is_kept_when_asked_for(cli: Cli, tmp_path: Path) -> None:
    file = str(questions_file(tmp_path))
    assert cli.json("eval", "abstention", "--questions", file)["set"] is False
    curve = cli.json("eval", "abstention", "--questions", file, "--false-alarms", "0", "--set")
    assert curve["chosen"]["caught"] == 1.0
    assert curve["chosen"]["false_alarms"] == 0.0
    kept = json.loads((Path(cli.environ["ASK_MARVIN_HOME"]) / "abstention.json").read_text())
    assert kept == {"weak_below": curve["chosen"]["weak_below"]}


def test_questions_that_cannot_be_read_are_named(cli: Cli) -> None:
    error = cli.json("eval", "retrieval", "--questions", "nowhere.jsonl", status=2)["error"]
    assert "nowhere.jsonl" in error["message"]
