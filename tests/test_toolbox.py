import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

from knowledge.errors import Unreachable
from knowledge.library import Library
from knowledge.models import Embedder
from knowledge.sources.config import FIELD_GUIDE
from tools.catalog import build_toolbox
from tools.errors import Ambiguous, Changed
from tools.prefect_client import PrefectClient
from tools.proposal import Fact, Proposal, Receipt
from tools.toolbox import Toolbox, tool

READ = [
    *("search_docs", "read_page", "workspace_overview", "list_work_pools", "describe_work_pool"),
    *("explain_infrastructure", "list_deployments", "describe_deployment", "list_flow_runs"),
    *("describe_flow_run", "read_logs", "draw_timeline", "diagnose_flow_run", "diagnose_late_runs"),
    *("list_automations", "list_concurrency_limits", "list_events"),
]
WRITE = [
    "trigger_run",
    "cancel_runs",
    "retry_run",
    "pause_deployment",
    "resume_deployment",
    "set_schedule_active",
    "pause_work_pool",
    "resume_work_pool",
    "reindex_knowledge",
    "rollback_knowledge",
]


class Row(BaseModel):
    name: str
    url: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
    rows: list["Row"] = Field(default_factory=list)


class Shelf:
    """Tools for the tests: one that reads, some that fail, one that writes."""

    def __init__(self) -> None:
        self.performed: list[str] = []

    async def look(
        self,
        name: Annotated[str, Field(description="what to look at")],
        limit: Annotated[int, Field(ge=1, le=10)] = 3,
        kind: Literal["a", "b"] = "a",
        note: str | None = None,
    ) -> Row:
        """Looks at one thing.

        More about it.
        """
        inner = [Row(name=f"{name}{n}", url=f"http://ui/{n}") for n in range(limit)]
        extra = {"kind": kind, "note": note, "url": "http://evil/", "password": "hunter2"}
        return Row(name=name, url="http://ui/", extra=extra, rows=inner)

    async def fail(self, how: str = "plain") -> Row:
        """Fails in a way that a person can mend."""
        if how == "ambiguous":
            raise Ambiguous("Two match.", ["one", "two"])
        raise Unreachable("db://u:hunter2@host is down.", "Start it.")

    async def crash(self) -> Row:
        """Has a bug."""
        raise ZeroDivisionError

    async def paint(self, colour: str) -> Proposal:
        """Proposes to paint."""
        return Proposal(
            action="paint",
            title="Paint with token=abc123",
            target="wall",
            target_url="http://ui/wall",
            facts=(Fact(label="Colour", value=f"{colour} password=hunter2"),),
            arguments={"colour": colour, "password": "hunter2"},
        )

    async def recheck(self, proposal: Proposal) -> None:
        if proposal.arguments["colour"] == "dry":
            raise Changed("It has dried.")

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:
        self.performed.append(f"{proposal.arguments['colour']} {key} {actor}")
        return Receipt(ok=True, text="Painted with token=abc123.")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def toolbox(shelf: Shelf) -> Toolbox:
    return Toolbox([tool(shelf.look), tool(shelf.fail), tool(shelf.crash), tool(shelf.paint, action=shelf)])


def test_a_tool_is_described_by_its_method_alone(toolbox: Toolbox) -> None:
    schema = toolbox.schemas(["look"])[0]
    assert schema["type"] == "function"
    assert schema["function"]["name"] == "look"
    assert schema["function"]["description"] == "Looks at one thing.\n\nMore about it."
    assert schema["function"]["parameters"] == {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "description": "what to look at"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
            "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "note": {"type": "string"},
        },
    }


async def test_a_call_gives_the_result_as_text_and_as_data(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("look", '{"name": "x", "limit": 1}')
    assert outcome.ok
    assert outcome.arguments == {"name": "x", "limit": 1}
    assert json.loads(outcome.text) == outcome.data
    assert outcome.data["rows"][0]["name"] == "x0"


async def test_secrets_in_a_result_are_masked(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("look", {"name": "token=abc123def"})
    assert outcome.data["extra"]["password"] == "[secret hidden: password]"
    assert outcome.data["name"] == "token=[secret hidden: token]"
    assert "hunter2" not in outcome.text
    assert outcome.arguments["name"] == "token=[secret hidden: token]"


async def test_links_come_from_typed_fields_only(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("look", {"name": "http://typed/", "limit": 2})
    assert outcome.links == {"http://ui/", "http://ui/0", "http://ui/1"}


async def test_null_stands_for_a_default(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("look", {"name": "x", "limit": None, "kind": None})
    assert len(outcome.data["rows"]) == 3


@pytest.mark.parametrize("arguments", ['{"name": "x"', "[1]", '"x"', "nonsense"])
async def test_broken_json_is_told_to_the_model(toolbox: Toolbox, arguments: str) -> None:
    outcome = await toolbox.call("look", arguments)
    assert outcome.error is not None
    assert (outcome.ok, outcome.error.code) == (False, "bad_json")
    assert json.loads(outcome.text)["error"]["fix"]


async def test_no_arguments_at_all_are_none(toolbox: Toolbox) -> None:
    assert (await toolbox.call("fail", "")).error is not None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param({}, "`name`: Field required", id="missing"),
        pytest.param(
            {"name": "x", "limit": 99}, "`limit`: Input should be less than or equal to 10", id="bound"
        ),
        pytest.param({"name": "x", "kind": "c"}, "`kind`: Input should be 'a' or 'b'", id="choice"),
        pytest.param({"name": "x", "colour": 1}, "`colour`: Extra inputs are not permitted", id="unknown"),
        pytest.param({"name": {"s3cret": 1}}, "`name`: Input should be a valid string", id="type"),
    ],
)
async def test_wrong_arguments_are_named_with_the_right_ones(
    toolbox: Toolbox, arguments: dict[str, Any], named: str
) -> None:
    outcome = await toolbox.call("look", arguments)
    assert outcome.error is not None
    assert outcome.error.code == "bad_arguments"
    assert named in outcome.error.message
    assert "name, limit, kind, note" in outcome.error.fix
    assert "s3cret" not in outcome.text


async def test_an_unknown_tool_gets_the_nearest(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("lok", {})
    assert outcome.error is not None
    assert "There is no tool 'lok'." in outcome.text
    assert "look" in outcome.error.fix


async def test_what_a_person_can_mend_is_an_outcome_without_secrets(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("fail", {})
    assert outcome.error is not None
    assert (outcome.ok, outcome.error.code, outcome.error.fix) == (False, "unreachable", "Start it.")
    assert "hunter2" not in outcome.text + outcome.error.message


async def test_choices_are_handed_on(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("fail", {"how": "ambiguous"})
    assert outcome.error is not None
    assert outcome.error.choices == ("one", "two")


async def test_a_bug_is_not_hushed_up(toolbox: Toolbox) -> None:
    with pytest.raises(ZeroDivisionError):
        await toolbox.call("crash", {})


async def test_a_long_result_is_cut_and_says_how_to_ask_for_less(toolbox: Toolbox) -> None:
    outcome = await toolbox.call("look", {"name": "x" * 500, "limit": 10}, max_chars=1000)
    assert len(outcome.text) == 1000
    assert outcome.text.endswith("call look again with narrower name, limit, kind, note]")
    assert len(outcome.data["rows"]) == 10


async def test_a_proposal_is_shown_without_its_arguments_and_does_nothing(
    toolbox: Toolbox, shelf: Shelf
) -> None:
    outcome = await toolbox.call("paint", {"colour": "red"})
    assert outcome.proposal is not None
    assert outcome.proposal.title == "Paint with token=[secret hidden: token]"
    assert outcome.proposal.arguments == {"colour": "red", "password": "hunter2"}
    assert "hunter2" not in outcome.text
    assert "Nothing has been done yet" in outcome.text
    assert outcome.links == {"http://ui/wall"}
    assert shelf.performed == []


async def test_a_confirmed_proposal_is_performed_by_its_tool(toolbox: Toolbox, shelf: Shelf) -> None:
    proposal = (await toolbox.call("paint", {"colour": "red"})).proposal
    assert proposal is not None
    await toolbox.recheck(proposal)
    receipt = await toolbox.perform(proposal, key="card:1", actor="U42")
    assert shelf.performed == ["red card:1 U42"]
    assert receipt.text == "Painted with token=[secret hidden: token]."


async def test_a_changed_state_refuses_the_confirmation(toolbox: Toolbox) -> None:
    proposal = (await toolbox.call("paint", {"colour": "dry"})).proposal
    assert proposal is not None
    with pytest.raises(Changed):
        await toolbox.recheck(proposal)


@pytest.fixture
async def catalog(tmp_path: Path) -> Any:
    embedder = Embedder("none", lambda texts: np.zeros((len(texts), 1), dtype=np.float32))
    async with PrefectClient(None) as prefect:
        yield build_toolbox(prefect, Library(tmp_path, embedder), [FIELD_GUIDE])


def test_the_catalog_has_every_tool_by_its_name(catalog: Toolbox) -> None:
    assert [t.name for t in catalog.tools.values() if not t.writes] == READ
    assert [t.name for t in catalog.tools.values() if t.writes] == WRITE


def test_every_tool_and_parameter_is_described_to_the_model(catalog: Toolbox) -> None:
    for found in catalog.tools.values():
        assert len(found.description) > 40, found.name
        for name, parameter in found.parameters["properties"].items():
            assert parameter.get("description"), f"{found.name}: {name}"
    assert len(json.dumps(catalog.schemas())) < 20_000


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(
            (name, {})
            for name in ("workspace_overview", "list_work_pools", "list_deployments", "list_flow_runs")
        ),
        *((name, {}) for name in ("list_automations", "list_concurrency_limits", "list_events")),
        ("describe_work_pool", {"work_pool": "x"}),
        ("describe_deployment", {"deployment": "x"}),
        ("describe_flow_run", {"flow_run": "x"}),
        ("read_logs", {"flow_run": "x"}),
        ("explain_infrastructure", {"deployment": "x"}),
        ("trigger_run", {"deployment": "x"}),
        ("cancel_runs", {"runs": ["x"]}),
    ],
)
async def test_without_prefect_its_tools_say_what_is_missing(
    catalog: Toolbox, name: str, arguments: dict[str, Any]
) -> None:
    outcome = await catalog.call(name, arguments)
    assert outcome.error is not None
    assert "not connected to a Prefect server" in outcome.error.message
    assert "PREFECT_API_URL" in outcome.error.fix


async def test_without_an_index_the_docs_tools_say_what_is_missing(catalog: Toolbox) -> None:
    for name, arguments in (("search_docs", {"question": "x"}), ("read_page", {"page": "x"})):
        outcome = await catalog.call(name, arguments)
        assert outcome.error is not None
        assert "reindex" in outcome.error.fix


async def test_reindexing_is_left_to_the_bot(catalog: Toolbox) -> None:
    proposal = (await catalog.call("reindex_knowledge", {"source": "field-guide"})).proposal
    assert proposal is not None
    await catalog.recheck(proposal)
    with pytest.raises(LookupError):
        await catalog.perform(proposal, key="card:1", actor="U42")
