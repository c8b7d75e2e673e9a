"""Sentences about what is in the workspace: understood without a model, and worked out before one is asked."""

import re
from typing import Any

import pytest

from bot.diagnosis_text import run_diagnosis
from bot.events import Offer
from bot.grammar import Command
from bot.people import Person
from bot.sentences.commands_in_words import commands_for
from bot.sentences.intents import intent_of, parameters_in, without_parameters
from bot.sentences.listings import listing
from bot.sentences.operate import LOOK_AT_THE_WORKSPACE, offers_for
from bot.slack.blocks import OFFERS, answer_extras, offer_buttons
from bot.slack.incoming import from_action
from tests.fakes.model import FakeModel, Say
from tests.fakes.slack_blocks import check_message_blocks
from tests.house import AppFactory, ask, model_variables
from tests.prefect_seed import Seed, unique
from tests.prefect_server import connection_to
from tests.waiting import until
from tools.prefect_client import PrefectClient
from tools.references import MAX_PHRASES, Reference, candidates, find_references, phrases

GUEST = Person(id="U2", team="T1", is_guest=True)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Why has etl/nightly not started?", "diagnose"),
        ("etl/nightly does not run any more, why?", "diagnose"),
        ("Run happy-otter is late, what is wrong?", "diagnose"),
        ("what happened to happy-otter?", "diagnose"),
        ("Who suspended happy-otter?", "diagnose"),
        ("Did etl/nightly work?", "diagnose"),
        ("is etl/nightly ok", "diagnose"),
        ("when will etl/nightly run next?", "diagnose"),
        ("stop happy-otter, it is stuck?", "diagnose"),
        ("Where does the code of etl/nightly run, and where from?", "locate"),
        ("which image does etl/nightly use?", "locate"),
        ("show me the logs of happy-otter", "logs"),
        ("draw a timeline of etl/nightly", "timeline"),
        ("Start etl/nightly with x = 3", "start"),
        ("please run etl/nightly", "start"),
        ("can you cancel happy-otter?", "cancel"),
        ("re-run happy-otter", "retry"),
        ("pause etl/nightly please", "pause"),
        ("could you please resume etl/nightly", "resume"),
        ("how do I cancel a run?", None),
        ("what parameters does fail-fast/late take?", None),
        ("what did happy-otter print?", "logs"),
        ("Warum ist happy-otter zu spät?", "diagnose"),
        ("retry happy-otter and sad-otter please", "retry"),
        ("rerun happy-otter with x=3", "retry"),
        ("run happy-otter again with x = 3", "retry"),
        ("please run etl/nightly x=3 tomorrow 8:00", "start"),
        ("resume the queue etl-pool/high", "resume"),
        ("please pause the queue `high` of the pool etl-pool.", "pause"),
        ("pause etl/nightly and etl/hourly", "pause"),
        ("how do I resume the queue etl-pool/high?", None),
        ("retry happy-otter in 2 hours", None),
    ],
)
def test_the_words_around_a_name_say_what_is_wanted(text: str, intent: str | None) -> None:
    assert intent_of(text) == intent


def test_parameters_are_read_after_with_and_where_they_are_written_with_an_equals_sign() -> None:
    assert parameters_in('start a/b with x = many, day: "2026-01-01" and n=3.') == {
        "x": "many",
        "day": "2026-01-01",
        "n": "3",
    }
    assert parameters_in("start a/b at 08:00") == {}
    assert parameters_in("please start a/b x=3 day = 2026-01-01 at 08:00") == {"x": "3", "day": "2026-01-01"}


def test_a_day_that_is_a_parameter_is_not_the_day_of_the_run() -> None:
    assert "2026" not in without_parameters("start a/b with day = 2026-01-01 and n = 3")
    assert without_parameters("start a/b n=3 tomorrow at 8:00").split()[-3:] == ["tomorrow", "at", "8:00"]


def test_candidates_for_names_are_the_words_that_questions_are_not_made_of() -> None:
    assert candidates("Why is `my run` of etl/nightly's pool k8s-prod late, etl-7?") == [
        "my run",
        "etl/nightly",
        "k8s-prod",
        "etl-7",
    ]


async def test_only_exact_names_are_references(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool)
    run = await seed.run(deployment)
    text = f"A worker polls {pool}, so why is {run['name']} of {deployment['full_name']} late?"
    found = [(one.kind, one.text) for one in await find_references(prefect, text)]
    assert found == [
        ("work pool", pool),
        ("flow run", run["id"]),
        ("deployment", deployment["full_name"]),
    ]
    assert await find_references(prefect, f"why is {run['name'][:-1]} late?") == []


async def test_a_name_that_several_runs_have_stays_a_name(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await seed.deployment()
    name = unique("twin")
    for _ in range(2):
        await seed.run(deployment, name=name)
    assert [one.text for one in await find_references(prefect, f"why is {name} late?")] == [name]


async def test_a_link_is_a_reference_and_costs_no_search() -> None:
    # Nobody answers there, so a search would fail.
    async with PrefectClient(connection_to("http://127.0.0.1:9/api")) as prefect:
        url = prefect.links.flow_run("0b5dd8de-4a3f-4a0e-9f0e-2d6a1f6f3a11")
        (found,) = await find_references(prefect, f"why is {url} late?")
    assert (found.kind, found.text) == ("flow run", url)


async def test_without_a_model_a_question_about_a_thing_runs_its_tool(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool(type="kubernetes")
    deployment = await seed.deployment(pool=pool)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        where = await ask(app, f"Where does the code of {deployment['full_name']} run, and where from?")
        shown = await ask(app, f"what parameters does {deployment['full_name']} take?")
        pools = await ask(app, "which work pools do we have?")
        failed = await ask(app, "did anything fail last night?")
        late = await ask(app, "is everything ok?")
        late_in_general = await ask(app, "what is a late run?")
        docs = await ask(app, "Where does flow code run?")
    assert [call.name for call in where.tool_calls] == ["explain_infrastructure"]
    assert pool in where.text
    assert "kubernetes" in where.text
    assert [call.name for call in shown.tool_calls] == ["describe_deployment"]
    assert [call.name for call in pools.tool_calls] == ["list_work_pools"]
    assert [call.name for call in failed.tool_calls] == ["list_flow_runs"]
    assert [call.name for call in late.tool_calls] == ["diagnose_late_runs"]
    assert [call.name for call in late_in_general.tool_calls] == ["search_docs"]
    assert [call.name for call in docs.tool_calls] == ["search_docs"]


async def test_a_run_that_is_asked_about_is_diagnosed_and_the_way_out_is_offered(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    run = await seed.run(await seed.deployment(pool=pool), late_by=300)

    async def is_late() -> bool:
        return bool((await seed.get(f"flow_runs/{run['id']}"))["state"]["name"] == "Late")

    await until(is_late)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"Why has {run['name']} not started yet?")
        typed = await ask(app, f"why {run['id']}")
    assert [call.name for call in answer.tool_calls] == ["diagnose_flow_run"]
    assert pool in answer.text
    assert "paused" in answer.text
    assert Offer("Resume the work pool", f"resume pool {pool}") in answer.offers
    assert [call.name for call in typed.tool_calls] == ["diagnose_flow_run"]
    assert typed.offers == answer.offers


async def test_an_order_in_words_ends_in_a_card_like_the_typed_one(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer", "title": "x"}}, "required": ["x"]}
    deployment = await seed.deployment(parameter_openapi_schema=schema)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        good = await ask(app, f"please start {deployment['full_name']} with x = 3")
        bad = await ask(app, f"Start {deployment['full_name']} with x = many")
    assert good.cards[0].proposal.arguments["parameters"] == {"x": 3}
    assert bad.cards == ()
    assert bad.failure is None
    assert "many" in bad.text
    assert "whole number" in bad.text


async def test_somebody_who_may_not_look_gets_the_docs(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"Why does {deployment['full_name']} not run?", person=GUEST)
    assert {call.name for call in answer.tool_calls} == {"search_docs"}
    assert answer.offers == ()


async def test_a_prefect_that_is_away_leaves_the_docs(app_for: AppFactory) -> None:
    async with app_for(PREFECT_API_URL="http://127.0.0.1:9/api") as app:
        answer = await ask(app, "Why are flow runs of etl-nightly late without a worker?")
    assert answer.mode == "extractive"
    assert answer.citations
    assert answer.text.startswith("_Nothing was looked up in Prefect: ")


async def test_a_name_that_is_almost_right_is_offered_and_not_taken(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    # The latest runs are looked through, and those of other tests are many.
    run = await seed.run(await seed.deployment(), due_in=10 * 86400)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"why is {run['name'].upper()}x late?")
        docs = await ask(app, "why would a prefect-agent be late?")
    assert f"the nearest is `{run['name']}`" in answer.text
    assert answer.offers[0].command == f"why {run['name']}"
    assert [call.name for call in answer.tool_calls] == ["search_docs"]
    assert docs.offers == ()


async def test_a_rerun_with_other_parameters_is_a_new_run_and_no_retry(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    run = await seed.run(deployment, parameters={"x": 1})
    await seed.state(run, "FAILED")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"rerun {run['name']} with x = 3")
        same = await ask(app, f"please retry {run['name']}")
    (card,) = answer.cards
    assert card.proposal.action == "trigger_run"
    assert card.proposal.arguments["parameters"] == {"x": 3}
    assert same.cards[0].proposal.action == "retry_run"


async def test_an_order_for_a_time_that_is_none_starts_nothing(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    name = (await seed.deployment(name=unique("daily-at-night")))["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        wrong = await ask(app, f"please run {name} at 25:00")
        often = await ask(app, f"please run {name} every day")
        day = await ask(app, f"please run {name} with day = 2026-01-01")
    assert wrong.cards == ()
    assert "is not a time" in wrong.text
    assert often.cards == ()
    assert name in often.text
    assert day.cards[0].proposal.arguments["parameters"] == {"day": "2026-01-01"}
    assert not day.cards[0].proposal.arguments.get("scheduled_time")


async def test_what_is_asked_of_two_runs_is_answered_for_both(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    runs = [await seed.run(deployment, late_by=300) for _ in range(2)]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"why are {runs[0]['name']} and {runs[1]['name']} late?")
    assert [call.name for call in answer.tool_calls] == ["diagnose_flow_run"] * 2
    assert all(run["name"] in answer.text for run in runs)


async def test_a_queue_is_paused_and_a_pool_is_looked_at_by_what_the_sentence_says(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool()
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        queue = await ask(app, f"please pause the queue `default` of the pool {pool}.")
        pair = await ask(app, f"pause the queue {pool}/default")
        state = await ask(app, f"is {pool} paused?")
    assert queue.cards[0].proposal.title == pair.cards[0].proposal.title
    assert "queue default" in queue.cards[0].proposal.title
    assert [call.name for call in state.tool_calls] == ["describe_work_pool"]


def test_a_diagnosis_tells_no_sentence_twice() -> None:
    history = "First time in 7 days; it has never passed."
    cause = {
        "summary": f"Task load failed. {history}",
        "certainty": "certain",
        "fix": "Correct the code.",
        "evidence": [
            {"field": "history", "value": history, "source": "other runs"},
            {"field": "state", "value": "FAILED", "source": "flow run a"},
        ],
    }
    found = {"subject": "a", "verdict": "a FAILED.", "causes": [cause], "fine": [], "could_not_look": []}
    text = run_diagnosis(found)
    assert text.count(history) == 1
    assert "`state` is `FAILED`" in text


async def test_who_asks_about_their_own_runs_is_offered_a_look_at_them(
    app_for: AppFactory, prefect_url: str
) -> None:
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        own = await ask(app, "why is my flow run late?")
        general = await ask(app, "what is a work pool?")
    assert own.offers == (LOOK_AT_THE_WORKSPACE,)
    assert own.citations
    assert general.offers == ()


async def test_a_model_gets_what_was_worked_out_as_if_it_had_asked(
    app_for: AppFactory, model: FakeModel, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    run = await seed.run(await seed.deployment(pool=pool), late_by=300)
    model.replies = [Say(f"The pool {pool} is paused.")]
    async with app_for(**model_variables(model), PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"Why is {run['name']} late?")
    asked, told = model.last_messages[-2:]
    assert asked["tool_calls"][0]["function"]["name"] == "diagnose_flow_run"
    assert told["role"] == "tool"
    assert pool in told["content"]
    assert len(model.requests) == 1
    assert answer.text == f"The pool {pool} is paused."
    assert answer.offers[0].command == f"resume pool {pool}"


def test_offers_are_buttons_that_type_their_command() -> None:
    offers = [Offer(f"Do {number}", f"why run-{number}") for number in range(OFFERS + 2)]
    blocks = answer_extras(offers=[*offers, Offer("Long", "x" * 3000)])
    check_message_blocks(blocks)
    (row,) = blocks
    assert [button["value"] for button in row["elements"]] == [f"why run-{n}" for n in range(OFFERS)]
    assert offer_buttons([]) == []


def test_a_press_on_an_offer_is_its_command_said_by_the_presser_in_that_thread() -> None:
    (row,) = offer_buttons([Offer("Explain", "why run-1")])
    body: dict[str, Any] = {
        "user": {"id": "U1ADA", "team_id": "T1"},
        "team": {"id": "T1"},
        "container": {"channel_id": "C1", "message_ts": "2.0", "thread_ts": "1.0"},
        "actions": [{**row["elements"][0], "action_ts": "3.0"}],
    }
    delivery = from_action(body)
    assert delivery is not None
    assert (delivery.kind, delivery.conversation) == ("message", "T1:C1:1.0")
    assert delivery.payload["text"] == "why run-1"
    assert delivery.payload["user"] == "U1ADA"
    again = from_action({**body, "actions": [{**body["actions"][0], "action_ts": "4.0"}]})
    assert again is not None
    assert again.delivery_key != delivery.delivery_key


@pytest.mark.parametrize(
    "text",
    [
        "Should I cancel happy-otter?",
        "Can I cancel happy-otter safely?",
        "retry happy-otter?",
        "did someone pause etl/nightly",
        "what happens when I retry happy-otter?",
        "don't start etl/nightly",
        "let's not cancel happy-otter",
        "I will cancel happy-otter myself",
        "start etl/nightly only after load/daily",
        "start etl/nightly when load/daily finishes",
        "cancel happy-otter if nobody needs it",
        "cancel all runs but happy-otter",
        "pause all deployments except etl/nightly",
        "pause etl/nightly until monday",
        "cancel happy-otter tomorrow",
        "cancel happy-otter and start etl/nightly",
        "run etl/nightly or load/daily",
        "run etl/nightly twice",
        "run history of etl/nightly",
        "retry policy of happy-otter",
        "stop reason of happy-otter",
        "disable retries on etl/nightly",
        "hold on, etl/nightly looks odd",
        "start debugging etl/nightly",
        "stop telling me about happy-otter",
        "stop the worker in k8s-prod",
        "abort mission happy-otter",
        "hey " * 10_000 + "run etl/nightly",
    ],
)
def test_what_only_sounds_like_an_order_is_none(text: str) -> None:
    assert intent_of(text) in (None, "diagnose")


async def test_what_cannot_be_done_as_it_was_said_gets_no_card(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    name = (await seed.deployment())["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        for more in ("every hour", "in k8s-prod", "with the new data"):
            assert (await ask(app, f"run {name} {more}")).cards == (), more
        assert (await ask(app, f"run a check on {name}")).cards == ()


async def test_json_in_a_sentence_arrives_whole(app_for: AppFactory, prefect_url: str, seed: Seed) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "object", "title": "x"}}}
    name = (await seed.deployment(parameter_openapi_schema=schema))["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        (card,) = (await ask(app, f'run {name} with x={{"a": 1, "b": "two words"}}')).cards
    assert card.proposal.arguments["parameters"] == {"x": {"a": 1, "b": "two words"}}


async def test_a_run_whose_name_has_spaces_is_the_one_that_is_cancelled(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    word = unique("otter")
    run = await seed.run(deployment, name=f"the {word}", late_by=300)
    await seed.run(deployment, name=f"{word} itself", late_by=300)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        typed = await ask(app, f'cancel "the {word}"')
        said = await ask(app, f'please cancel "the {word}"')
    for answer in (typed, said):
        (card,) = answer.cards
        assert [each["id"] for each in card.proposal.arguments["runs"]] == [run["id"]]


def test_a_question_of_nothing_but_common_words_holds_up_nobody() -> None:
    assert offers_for("my " * 13_000) == []


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("whats late", Command("why", ("late",))),
        ("anything late?", Command("why", ("late",))),
        ("stuck runs?", Command("why", ("late",))),
        ("are there any zombies?", Command("why", ("late",))),
        ("hey, is anything on fire?", Command("why", ("late",))),
        ("failed runs", Command("runs", ("failed",))),
        ("what failed tonight?", Command("runs", ("failed", "tonight"))),
        ("what failed in the last 2 hours", Command("runs", ("failed", "in the last 2 hours"))),
        ("how many runs failed today?", Command("runs", ("failed", "today"))),
        ("which runs crashed since 8:00", Command("runs", ("failed", "since 8:00"))),
        ("what's running right now?", Command("runs", ("running",))),
        ("whats the status of the workspace", Command("status")),
        ("is prefect down?", Command("status")),
        ("which workers are offline", Command("pools")),
        ("which deployments are paused?", Command("deployments paused")),
        ("list concurrency limits", Command("limits")),
        ("are any limits full right now?", Command("limits")),
        ("what automations do we have?", Command("automations")),
    ],
)
def test_a_list_is_asked_for_in_many_ways(text: str, command: Command) -> None:
    assert listing(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "what is a late run?",
        "what does late mean",
        "why are my runs late in general?",
        "what is the difference between failed and crashed?",
        "how do I list failed runs?",
        "how many runs can a work pool run?",
        "what happens to failed runs?",
        "which workers exist in prefect",
        "what is a worker?",
        "where are logs stored",
        "failed runs are retried, how often?",
        "is prefect open source?",
        "what limits are there?",
        "what automations are there in Prefect Cloud?",
        "how do I list automations?",
        "late " * 200 + "runs",
    ],
)
def test_what_is_asked_of_the_docs_is_no_list(text: str) -> None:
    assert listing(text) is None


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("show failed runs of etl/nightly", Command("runs of", ("deployment", "etl/nightly", "failed"))),
        ("last 5 runs of etl/nightly", Command("runs of", ("deployment", "etl/nightly", ""))),
        ("list all runs of etl/nightly", Command("runs of", ("deployment", "etl/nightly", ""))),
        ("whats up with etl/nightly", Command("why", ("etl/nightly",))),
        ("can someone look at etl/nightly", Command("why", ("etl/nightly",))),
        ("what's blocking etl/nightly?", Command("why", ("etl/nightly",))),
        ("what is holding etl/nightly up", Command("why", ("etl/nightly",))),
        ("etl/nightly didnt run", Command("why", ("etl/nightly",))),
        ("who started etl/nightly", Command("show", ("etl/nightly",))),
        ("how long did etl/nightly take?", Command("show", ("etl/nightly",))),
        ("what parameters did etl/nightly have", Command("show", ("etl/nightly",))),
        ("who paused etl/nightly", Command("why", ("etl/nightly",))),
        ("what's the error of etl/nightly?", Command("why", ("etl/nightly",))),
        ("which work pool does etl/nightly run in?", Command("where", ("etl/nightly",))),
        ("how long does etl/nightly usually take?", Command("timeline", ("etl/nightly",))),
        ("which automations touch etl/nightly?", Command("automations")),
        (
            "how many runs of etl/nightly failed this week?",
            Command("runs of", ("deployment", "etl/nightly", "failed")),
        ),
        ("which runs of etl/nightly have not failed?", Command("runs of", ("deployment", "etl/nightly", ""))),
    ],
)
def test_a_sentence_about_a_thing_is_the_command_that_says_most(text: str, command: Command) -> None:
    named = [Reference("deployment", "etl/nightly")]
    assert commands_for(intent_of(text), named, text) == (command,)


def test_a_name_that_holds_a_word_does_not_say_it() -> None:
    named = [Reference("deployment", "etl/schedule-sync")]
    for text, name in (
        ("disable etl/schedule-sync", "pause"),
        ("pause the schedule of etl/schedule-sync", "pause schedule"),
    ):
        assert commands_for(intent_of(text), named, text) == (Command(name, ("etl/schedule-sync",)),)


async def test_a_limit_an_automation_and_a_worker_are_known_by_their_names(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    tag, named, automation, worker = (unique(stem) for stem in ("tag", "named", "tell", "worker"))
    # Pools are looked at by name, and no more than some: other tests have theirs on the same server.
    pool = await seed.pool(stem="0")
    await seed.worker(pool, name=worker)
    # A deployment of the same name is not what is asked about.
    await seed.deployment(name=worker)
    await seed.limit(f"tag:{tag}", 3)
    await seed.limit(named, 7)
    made = await seed.post(
        "automations/",
        {
            "name": automation,
            "trigger": {"type": "event", "posture": "Reactive", "expect": ["x.y"], "threshold": 1},
            "actions": [{"type": "do-nothing"}],
        },
    )
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        slots = await ask(app, f"how many slots does tag {tag} have?")
        limit = await ask(app, f"is the {named} limit full?")
        typed = await ask(app, f"limits {tag}")
        does = await ask(app, f"what does the automation {automation} do?")
        alive = await ask(app, f"is worker {worker} alive?")
        docs = await ask(app, f"how do I set a concurrency limit for the tag {tag}?")
    await seed.delete(f"automations/{made['id']}")
    assert re.search(rf"\[{tag}\]\(\S+\) \| task tag \| 3 \| 0 \|", slots.text)
    assert re.search(rf"\[{named}\]\(\S+\) \| global \| 7 \| 0 \|", limit.text)
    assert slots.text == typed.text
    assert re.search(rf"\[{automation}\]\(\S+\) \| on \| x.y happens \| do-nothing \|", does.text)
    assert f"`{worker}` online" in alive.text
    assert [call.name for call in docs.tool_calls] == ["search_docs"]


async def test_how_something_is_done_to_a_named_thing_is_for_the_docs_and_offered_below(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(), late_by=300)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"how do I cancel {run['name']}?")
    assert [call.name for call in answer.tool_calls] == ["search_docs"]
    assert answer.cards == ()
    assert answer.offers == (Offer(f"Cancel {run['name']}", f"cancel {run['id']}"),)


def test_words_that_stand_together_may_be_one_name() -> None:
    assert "weekly #48" in phrases("why is weekly #48 stuck?")
    assert "Invoice Booking/eu prod" in phrases("what's wrong with Invoice Booking/eu prod?")
    assert phrases("how do I cancel a run?") == []
    assert len(phrases(" ".join(f"word-{number}" for number in range(3_000)))) == MAX_PHRASES
