"""Finding in text what is surely meant as Prefect's, and whether it exists."""

import pytest

from knowledge.symbols.mentions import Mention, in_fence, in_span, in_word
from knowledge.symbols.table import Command, Scope, Symbols

SYMBOLS = Symbols(
    version="3.8.8",
    cli=Command(
        flags=frozenset({"--help", "--profile", "-p", "--no-prompt"}),
        commands={
            "deploy": Command(
                flags=frozenset({"--name", "-n", "--all", "-jv", "--launcher-arg"}),
                commands={"init": Command(runs=True)},
                runs=True,
            ),
            "worker": Command(commands={"start": Command(flags=frozenset({"--pool", "-p"}), runs=True)}),
            "server": Command(commands={"start": Command(flags=frozenset({"--port"}), runs=True)}),
            "cloud": Command(commands={"login": Command(runs=True, takes_any_flag=True)}),
        },
    ),
    settings=frozenset({"PREFECT_API_URL", "PREFECT_HOME"}),
    scopes={
        "prefect": Scope(
            members={
                **{"flow": "prefect.flow", "Flow": "prefect.flows.Flow", "flows": "prefect.flows"},
                **{
                    "deployments": "prefect.deployments",
                    "runtime": "",
                    "settings": "",
                    "client": "prefect.client",
                },
            }
        ),
        "prefect.flow": Scope(members={"from_source": ""}, bases=("prefect.flows.Flow",)),
        "prefect.flows": Scope(members={"Flow": "prefect.flows.Flow", "flow": "prefect.flow"}),
        "prefect.flows.Flow": Scope(members={"serve": "", "name": ""}),
        "prefect.deployments": Scope(members={"run_deployment": "", "steps": "prefect.deployments.steps"}),
        "prefect.deployments.steps": Scope(members={"git_clone": ""}),
        "prefect.client": Scope(members={"DeploymentResponse": "prefect.client.DeploymentResponse"}),
        "prefect.client.DeploymentResponse": Scope(members={"entrypoint": ""}),
    },
    removed={"prefect.deployments.Deployment": "Use `flow.deploy()` instead."},
)


def unknown(mentions: object) -> list[str]:
    assert isinstance(mentions, list)
    return [mention.text for mention in mentions if not mention.known]


@pytest.mark.parametrize(
    ("span", "missing"),
    [
        ("prefect worker start --pool x", []),
        ("prefect wroker start", ["prefect wroker"]),
        ("prefect worker strat --pool x", ["prefect worker strat"]),
        ("prefect worker start --queue x", ["prefect worker start --queue"]),
        ("prefect worker start --pool=x -q y", ["prefect worker start -q"]),
        ("prefect worker start -p x", []),
        ("prefect deploy flows/a.py:f --name x", []),
        ("prefect deploy init", []),
        ("prefect deploy -jv a=b --launcher-arg -X", []),
        ("prefect deploy --empty-name", []),
        ("prefect -p dev worker start", []),
        ("prefect --profile worker worker start", []),
        ("prefect worker start --no-prompt", []),
        ("prefect cloud login --whatever", []),
        ("$ prefect wroker", ["prefect wroker"]),
        ("PREFECT_HOME=/x uv run prefect wroker", ["prefect wroker"]),
        ("python -m prefect wroker", ["prefect wroker"]),
        ("docker run -it prefecthq/prefect:3-latest prefect wroker", ["prefect wroker"]),
        ("prefect worker start -p x && prefect wroker | cat", ["prefect wroker"]),
        ("prefect worker start | grep --color x", []),
        ('prefect deploy --name "a --b c"', []),
        ("pip install prefect wroker", []),
        ("helm install prefect prefect/prefect-worker", []),
        ("kubectl -n prefect get pods", []),
        ("prefect", []),
        ("prefect 3.1", []),
        ("prefect <command>", []),
        ("prefect worker COMMAND", []),
        ("prefect worker ...", []),
        ("prefect {{ command }}", []),
        ("prefect.yaml", []),
        ("docs.prefect.io", []),
    ],
)
def test_a_command_is_followed_to_the_first_word_or_flag_that_does_not_exist(
    span: str, missing: list[str]
) -> None:
    assert unknown(list(in_span(SYMBOLS, span))) == missing


@pytest.mark.parametrize(
    ("span", "missing"),
    [
        ("PREFECT_API_URL", []),
        ("PREFECT_API_URI", ["PREFECT_API_URI"]),
        ("export PREFECT_ORION_URL=http://x", ["PREFECT_ORION_URL"]),
        ("$PREFECT_HOME/x", []),
        ("PREFECT_API_*", []),
        ("PREFECT_ORION_*", ["PREFECT_ORION_"]),
        ("PREFECT_{NAME}", []),
        ("PREFECT_<NAME>", []),
        ("PREFECT_MY_KEY", []),
        ("MY_PREFECT_KEY", []),
        ("prefect.deployments.run_deployment", []),
        ("prefect.deployments.run_deployments()", ["prefect.deployments.run_deployments"]),
        ("prefect.settings.PREFECT_API_URL", []),
        ("prefect.settings.PREFECT_ORION_URL", ["PREFECT_ORION_URL", "prefect.settings.PREFECT_ORION_URL"]),
        ("prefect.flow-run.Completed", []),
        ("{{ prefect.variables.x }}", []),
        ("prefect.kubernetes.pod.running", []),
        ("flow.from_source", []),
        ("flow.from_sorce(...)", ["flow.from_sorce"]),
        ("@flow.serve", []),
        ("Flow.name", []),
        ("Flow.tags", []),
        ("Flow.build()", ["Flow.build"]),
        ("flow.py", []),
        ("flow.py:main", []),
        ("my_flow.build()", []),
        ("Deployment.build_from_flow", ["Deployment.build_from_flow"]),
        ("Deployment.entrypoint", []),
        ("from prefect import flow, pause", ["prefect.pause"]),
        ("from prefect.orion import x", ["prefect.orion"]),
    ],
)
def test_settings_and_names_are_looked_up_and_placeholders_are_let_through(
    span: str, missing: list[str]
) -> None:
    assert unknown(list(in_span(SYMBOLS, span))) == missing


@pytest.mark.parametrize(
    ("word", "before", "missing"),
    [
        ("--pool", "start it by prefect worker start ", []),
        ("--queue,", "start it by prefect worker start ", ["prefect worker start --queue"]),
        ("--queue=x", "start it by prefect worker start ", ["prefect worker start --queue"]),
        ("--queue", "the prefect server is started with ", []),
        ("--queue", "`prefect worker start` with ", []),
        ("wroker", "then run prefect ", []),
        ("PREFECT_ORION_URL,", "", ["PREFECT_ORION_URL"]),
        ("(prefect.orion.x)", "", ["prefect.orion.x"]),
        ("prefect.", "", []),
    ],
)
def test_in_running_text_only_what_is_surely_a_command_is_one(
    word: str, before: str, missing: list[str]
) -> None:
    assert unknown(list(in_word(SYMBOLS, word, before))) == missing


PYTHON = """
from prefect import flow, Flow as F, pause  # not there
from prefect.deployments import (
    run_deployment,
    Deployment,
)
import os

@flow
def etl(): ...

flow.from_sorce("x")
F.serve(etl)
F.biuld()
prefect.deployments.nothing()
os.environ["PREFECT_ORION_URL"] = "x"
mine = os.environ.get("PREFECT_OUR_OWN")
"""


def test_python_is_read_by_its_imports_and_what_is_said_of_them() -> None:
    assert unknown(list(in_fence(SYMBOLS, PYTHON, "python"))) == [
        "PREFECT_ORION_URL",
        "flow.from_sorce",
        "F.biuld",
        "prefect.pause",
        "prefect.deployments.Deployment",
        "prefect.deployments.nothing",
    ]


def test_a_name_that_is_given_to_something_else_is_not_followed() -> None:
    code = "from prefect import flow\n\nflow = load()\nflow.anything()\n"
    assert unknown(list(in_fence(SYMBOLS, code, "python"))) == []


def test_another_package_of_that_name_is_left_alone() -> None:
    assert list(in_fence(SYMBOLS, "import pulumi_prefect as prefect\nprefect.Provider()\n", "python")) == []


def test_commands_are_looked_for_in_shells_and_in_configuration_but_not_in_python() -> None:
    shell = "# prefect is started here\n$ prefect worker \\\n    strat\nprefect server start --reload\n"
    assert unknown(list(in_fence(SYMBOLS, shell, "bash"))) == [
        "prefect worker strat",
        "prefect server start --reload",
    ]
    assert unknown(list(in_fence(SYMBOLS, "command: prefect wroker start\n", "yaml"))) == ["prefect wroker"]
    assert unknown(list(in_fence(SYMBOLS, 'CMD ["prefect", "server", "strat"]\n', "dockerfile"))) == [
        "prefect server strat"
    ]
    assert unknown(list(in_fence(SYMBOLS, "pull:\n  - prefect.deployments.steps.git_cloen:\n", "yaml"))) == [
        "prefect.deployments.steps.git_cloen"
    ]
    assert list(in_fence(SYMBOLS, "prefect wroker", "python")) == []


def test_each_thing_in_a_fence_is_named_once() -> None:
    assert list(in_fence(SYMBOLS, "PREFECT_HOME\nPREFECT_HOME\n", "")) == [
        Mention("PREFECT_HOME", known=True)
    ]


@pytest.mark.parametrize("alias", ["[", "*x", "a|b(", "(?P<", "1x"])
def test_an_import_that_is_no_python_is_passed_over(alias: str) -> None:
    code = f"from prefect import flow as {alias}\nprefect.nothing.here"
    assert unknown(list(in_fence(SYMBOLS, code, "python"))) == ["prefect.nothing.here"]
    assert unknown(list(in_span(SYMBOLS, f"from prefect import flow as {alias}"))) == []


def test_what_is_imported_again_and_again_is_looked_at_once() -> None:
    code = f"from prefect import {'Flow, ' * 3_000}\nFlow.nothing"
    assert unknown(list(in_fence(SYMBOLS, code, "python"))) == ["Flow.nothing"]


def test_the_own_name_of_an_import_is_followed() -> None:
    code = "from prefect import Flow as F, flow\nF.nothing\nF.serve"
    assert unknown(list(in_fence(SYMBOLS, code, "python"))) == ["F.nothing"]
