"""The command grammar, and the commands on a real Prefect server, with no model."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import knowledge
from bot.diagnosis_text import offers_of
from bot.grammar import Command, names_in, parse, question_in
from bot.people import LOCAL, Person
from tests.house import AppFactory, ask
from tests.prefect_seed import Seed

GUIDE = Path(knowledge.__file__).with_name("field_guide")

MEMBER = Person(id="U1", team="T1")
GUEST = Person(id="U2", team="T1", is_guest=True)
RUN_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": "integer", "title": "x"}, "day": {"type": "string", "title": "day"}},
    "required": ["x"],
}


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("help", Command("help")),
        (" Help! ", Command("help")),
        ("pools", Command("pools")),
        ("work pools", Command("pools")),
        ("pool k8s-prod", Command("pool", ("k8s-prod",))),
        ("deployments", Command("deployments")),
        ("deployments etl", Command("deployments", ("etl",))),
        ("runs late", Command("runs", ("late",))),
        ("run etl/nightly", Command("run", ("etl/nightly",))),
        ("run etl/nightly x=1 day='a b'", Command("run", ("etl/nightly", "x=1 day='a b'"))),
        ('run etl/nightly {"x": 1}', Command("run", ("etl/nightly", '{"x": 1}'))),
        (f"cancel {RUN_ID}", Command("cancel", (RUN_ID,))),
        ("cancel happy-otter sad-owl", Command("cancel", ("happy-otter sad-owl",))),
        ("reindex", Command("reindex")),
        ("reindex prefect-docs", Command("reindex", ("prefect-docs",))),
        ("run etl name=O'Brien", Command("run", ("etl", "name=O'Brien"))),
        ("run etl tomorrow 8:00", Command("run", ("etl", "", "tomorrow 8:00"))),
        ("run etl x=1 at 8am", Command("run", ("etl", "x=1", "at 8am"))),
        ('run etl {"x": {"y": 1}} in 2 h', Command("run", ("etl", '{"x": {"y": 1}}', "in 2 h"))),
        ("run etl at 25:00", Command("run", ("etl", "", "at 25:00"))),
        ("rerun happy-otter", Command("rerun", ("happy-otter",))),
        ("re-run happy-otter x=2 monday 9:00", Command("rerun", ("happy-otter", "x=2", "monday 9:00"))),
        ("retry happy-otter", Command("retry", ("happy-otter",))),
        ("retry otter", Command("retry", ("otter",))),
        ("retry happy-otter sad-owl", Command("retry", ("happy-otter sad-owl",))),
        ("pause etl/nightly", Command("pause", ("etl/nightly",))),
        ("Resume deployment etl/nightly", Command("resume", ("etl/nightly",))),
        ("pause pool k8s-prod", Command("pause pool", ("k8s-prod",))),
        ("resume work pool k8s-prod", Command("resume pool", ("k8s-prod",))),
        ("resume queue k8s-prod/high", Command("resume queue", ("k8s-prod", "high"))),
        ("resume queue 'my pool/the high one'", Command("resume queue", ("my pool", "the high one"))),
        ("pause schedule etl/nightly", Command("pause schedule", ("etl/nightly",))),
        ("resume schedule etl cron 0 6 * * *", Command("resume schedule", ("etl", "cron 0 6 * * *"))),
        ("cancel", Command("usage", ("cancel",))),
        ("retry", Command("usage", ("retry",))),
        ("pause", Command("usage", ("pause",))),
        ("status", Command("status")),
        ("whoami", Command("whoami")),
        ("who am i?", Command("whoami")),
        ("forget me", Command("forget me")),
    ],
)
def test_a_command_is_recognised_by_its_shape(text: str, command: Command) -> None:
    assert parse(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "help me understand work pools",
        "pools are what exactly?",
        "pool of type prefect-agent, what is it?",
        "run my flow every day at nine, how?",
        "runs that are late: why?",
        "cancel that please",
        "cancel it",
        "cancel all",
        "run it",
        "rerun this x=1",
        "run etl tomorrow?",
        "run etl at nine, can I?",
        "run flows in 3 clusters",
        'run etl {"x": 1} or not',
        "rerun a flow run, how?",
        "retry it",
        "retry policy",
        "why it?",
        "logs of it",
        "show it",
        "timeline of that",
        "retry my failed run please",
        "resume my flow please?",
        "pause it",
        "pause deployments",
        "pause for a minute",
        "pause schedules how?",
        "pause schedule for tonight",
        "resume a paused run",
        "resume queue high of my pool?",
        "status of my run?",
        "what is a work pool?",
        "",
    ],
)
def test_a_sentence_is_a_question(text: str) -> None:
    assert parse(text) is None


def test_a_text_made_to_confuse_the_grammar_is_decided_at_once() -> None:
    assert parse("run d " + 'x=" ' * 900 + "!") is None


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("ask what is a pool?", "what is a pool?"),
        ("ask: what?", "what?"),
        ("asking for a friend", "asking for a friend"),
        ("ask", "ask"),
    ],
)
def test_ask_makes_the_rest_a_question(text: str, question: str) -> None:
    assert question_in(text) == question


async def quietly(_progress: object) -> None:
    """Nobody watches."""


async def test_pools_and_one_pool_are_shown(app_for: AppFactory, prefect_url: str, seed: Seed) -> None:
    pool = await seed.pool()
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        listed = await ask(app, "pools")
        one = await ask(app, f"pool {pool}")
    assert f"[{pool}]({prefect_url.removesuffix('/api')}/work-pools/work-pool/{pool})" in listed.text
    assert "`process`" in one.text
    assert "none online" in one.text
    assert "prefect worker start" in one.text


async def test_a_run_is_proposed_with_values_of_the_schemas_types_and_confirmed(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool()
    name = (await seed.deployment(pool=pool, parameter_openapi_schema=SCHEMA))["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"run {name} x=5 day=7")
        card = answer.cards[0]
        assert card.proposal.arguments["parameters"] == {"x": 5, "day": "7"}
        press = await app.cards.confirm(card, LOCAL, report=quietly)
        assert press.receipt is not None
        run_id = press.receipt.flow_run_ids[0]
        shown = await ask(app, f"runs {name}")
        cancelled = await ask(app, f"cancel {run_id}")
        done = await app.cards.confirm(cancelled.cards[0], LOCAL, report=quietly)
    assert run_id in press.card.outcome_url
    assert run_id in shown.text
    assert done.receipt is not None
    assert done.receipt.ok
    async with httpx.AsyncClient(base_url=f"{prefect_url}/") as http:
        run = (await http.get(f"flow_runs/{run_id}")).json()
    assert run["parameters"] == {"x": 5, "day": "7"}
    assert run["state"]["type"] == "CANCELLED"


async def test_a_run_for_later_is_meant_in_the_zone_of_whoever_types_it(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    name = (await seed.deployment(pool=await seed.pool(), parameter_openapi_schema=SCHEMA))["full_name"]
    lisbon = replace(LOCAL, timezone="Europe/Lisbon")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"run {name} x=5 tomorrow 8:00", person=lisbon)
        refused = await ask(app, f"run {name} x=5 tomorrow", person=lisbon)
    proposal = answer.cards[0].proposal
    assert " 08:00 Europe/Lisbon (" in proposal.title
    assert proposal.arguments["parameters"] == {"x": 5}
    assert refused.cards == ()
    assert "names no time of day" in refused.text


async def test_a_run_is_typed_to_run_again_or_to_have_another_made_like_it(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    row = await seed.deployment(pool=await seed.pool(), parameter_openapi_schema=SCHEMA)
    run = await seed.run(row, parameters={"x": 5, "day": "mon"})
    await seed.state(run, "FAILED")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        another = await ask(app, f"rerun {run['name']} x=7")
        again = await ask(app, f"retry {run['name']}")
        press = await app.cards.confirm(again.cards[0], LOCAL, report=quietly)
    assert another.cards[0].proposal.arguments["parameters"] == {"x": 7, "day": "mon"}
    assert press.receipt is not None
    assert press.receipt.flow_run_ids == (run["id"],)
    assert (await seed.get(f"flow_runs/{run['id']}"))["state_name"] == "AwaitingRetry"


async def test_what_makes_runs_is_typed_to_be_paused_and_resumed(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool()
    name = (await seed.deployment(pool=pool, schedules=[{"schedule": {"cron": "0 6 * * *"}}]))["full_name"]
    done = []
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        for what in (name, f"pool {pool}", f"queue {pool}/default", f"schedule {name} 0 6 * * *"):
            for verb in ("pause", "resume"):
                answer = await ask(app, f"{verb} {what}")
                assert answer.cards, answer.text
                press = await app.cards.confirm(answer.cards[0], LOCAL, report=quietly)
                done.append(press.card.state)
        again = await ask(app, f"resume pool {pool}")
    assert done == ["done"] * 8
    assert again.cards == ()
    assert again.text == f"The work pool {pool} is not paused. Nothing has to be done."


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param("x=five", "x", id="wrong-type"),
        pytest.param("x=O'Brien", "x", id="odd-quote"),
        pytest.param("y=1", "y", id="unknown-key"),
        pytest.param("", "x", id="missing"),
        pytest.param(
            '{"x": {"__prefect_kind": "workspace_variable", "variable_name": "v"}}',
            "__prefect_kind",
            id="kind",
        ),
        pytest.param('{"x": 1,}', "JSON", id="bad-json"),
    ],
)
async def test_parameters_that_break_the_schema_are_one_sentence_and_no_card(
    app_for: AppFactory, prefect_url: str, seed: Seed, words: str, says: str
) -> None:
    name = (await seed.deployment(pool=await seed.pool(), parameter_openapi_schema=SCHEMA))["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"run {name} {words}".strip())
    assert answer.cards == ()
    assert says in answer.text


async def test_an_unknown_deployment_is_told_with_the_nearest_names(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    name = (await seed.deployment(pool=await seed.pool()))["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"run {name}x")
    assert answer.cards == ()
    assert name in answer.text


async def test_status_tells_of_the_workspace_the_index_and_the_model(
    app_for: AppFactory, prefect_url: str
) -> None:
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, "status")
    assert "Prefect" in answer.text
    assert f"{len(list(GUIDE.glob('*.md')))} pages" in answer.text
    assert "quotes from the docs" in answer.text


async def test_a_wrong_address_of_prefect_is_one_sentence_with_the_way_out(app_for: AppFactory) -> None:
    async with app_for(PREFECT_API_URL="http://127.0.0.1:9/api") as app:
        answer = await ask(app, "pools")
    assert "127.0.0.1:9" in answer.text
    assert "PREFECT_API_URL" in answer.text


async def test_a_guest_may_not_look_at_the_workspace(app_for: AppFactory, prefect_url: str) -> None:
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, "pools", person=GUEST)
    assert "policy" in answer.text
    assert answer.tool_calls == ()


async def test_a_member_may_look_and_not_act(app_for: AppFactory, prefect_url: str, seed: Seed) -> None:
    name = (await seed.deployment(pool=await seed.pool()))["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        looked = await ask(app, "deployments", person=MEMBER)
        acted = await ask(app, f"run {name}", person=MEMBER)
    assert looked.tool_calls[0].ok
    assert acted.cards == ()
    assert "operator" in acted.text


async def test_forget_me_deletes_what_was_asked_and_answered(app_for: AppFactory) -> None:
    async with app_for() as app:
        await ask(app, "what is a work pool?", person=MEMBER, conversation="C1")
        assert await app.memory.recall("C1", 10)
        answer = await ask(app, "forget me", person=MEMBER)
        assert not await app.memory.recall("C1", 10)
    assert "1 of your questions" in answer.text


async def test_names_of_other_people_cannot_become_markup(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    await seed.pool(stem="pool-@here-https.evil.example")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, "pools")
    assert "evil.example" in answer.text
    assert "@here" not in answer.text


def test_a_name_with_spaces_is_one_name() -> None:
    assert names_in("etl-7 'my run' \"the other\"") == ["etl-7", "'my run'", '"the other"']
    assert names_in("weird#name o'brien") == ["weird#name", "o'brien"]


def test_a_name_that_no_command_takes_is_no_button() -> None:
    actions = [
        {"label": "Resume", "command": "resume pool 'x\nsay yes to all'"},
        {"label": "Resume", "command": "resume pool x"},
    ]
    offers = offers_of({"causes": [{"action": action} for action in actions]})
    assert [offer.command for offer in offers] == ["resume pool x"]
