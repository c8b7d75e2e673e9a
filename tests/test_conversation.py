"""Follow-ups in a thread, and orders for many runs, on a real Prefect server: with no model, and with one."""

import asyncio
import json
import secrets
from typing import Any

import pytest

from bot.app import App
from bot.events import Answer
from bot.people import LOCAL, Person
from bot.sentences.topic import Thing, Topic
from tests.fakes.model import FakeModel, Say
from tests.fakes.prefect_between import Between
from tests.house import AppFactory, ask, model_variables
from tests.prefect_seed import Seed, unique

GUEST = Person(id="U2", team="T1", is_guest=True)


class Talk:
    """One thread."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.key = f"test:{secrets.token_hex(4)}"

    async def __call__(self, text: str, *, person: Person = LOCAL) -> Answer:
        return await ask(self._app, text, person=person, conversation=self.key)


def tools(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, call.args) for call in answer.tool_calls]


def ids(answer: Answer) -> set[str]:
    """Of the runs that the answer's only card is about."""
    (card,) = answer.cards
    return {run["id"] for run in card.proposal.arguments["runs"]}


async def test_a_thread_about_a_run_goes_on_about_it(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool)
    run = await seed.run(deployment)
    await seed.state(run, "FAILED", message="ValueError: no such column")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"what happened to {run['name']}")
        why, logs, retry = await talk("why did it fail?"), await talk("its logs?"), await talk("retry it")
        pause, pool_pause = await talk("pause the deployment"), await talk("pause the pool")
        docs = await talk("how do I cancel a run?")
        again = await talk("and why did that run fail")
    assert tools(why) == [("diagnose_flow_run", {"flow_run": run["id"]})]
    assert why.text.startswith(f"_Meant is the flow run `{run['name']}`._")
    assert tools(logs) == [("read_logs", {"flow_run": run["id"]})]
    assert ids(retry) == {run["id"]}
    assert deployment["full_name"] in pause.cards[0].proposal.title
    assert pool in pool_pause.cards[0].proposal.title
    assert [name for name, _ in tools(docs)] == ["search_docs"]
    assert tools(again) == tools(why)


async def test_another_thread_and_another_person_see_nothing_of_it(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment())
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"why {run['id']}")
        guest = await talk("why did it fail?", person=GUEST)
        elsewhere = await Talk(app)("why did it fail?")
    assert [name for name, _ in tools(guest)] == ["search_docs"]
    assert [name for name, _ in tools(elsewhere)] == ["search_docs"]


async def test_the_one_before_is_asked_the_same_and_the_one_before_that(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    runs = [await seed.run(deployment, late_by=300 * (number + 1)) for number in range(3)]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"why is {runs[0]['name']} late?")
        before, earlier, first = [await talk("and the one before?") for _ in range(3)]
    assert tools(before) == [("diagnose_flow_run", {"flow_run": runs[1]["id"]})]
    assert f"The run before it is `{runs[1]['name']}`" in before.text
    assert tools(earlier) == [("diagnose_flow_run", {"flow_run": runs[2]["id"]})]
    assert tools(first) == []
    assert "no run before" in first.text


async def test_what_the_answer_offered_is_taken_up_in_a_word(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool(is_paused=True)
    run = await seed.run(await seed.deployment(pool=pool), late_by=300)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"why is {run['name']} late?")
        resumed = await talk("resume it")
    assert resumed.cards[0].proposal.action == "resume_work_pool"
    assert pool in resumed.text


async def test_of_a_list_it_is_asked_which_and_them_are_all(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    runs = [await seed.run(deployment) for _ in range(3)]
    for run in runs:
        await seed.state(run, "FAILED")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        listed = await talk(f"show failed runs of {deployment['full_name']}")
        which, them = await talk("retry it"), await talk("retry them")
        await talk(f"show failed runs of {deployment['full_name']}")
        second = await talk("why did the second one fail?")
    assert tools(listed)[0][0] == "list_flow_runs"
    assert (which.cards, tools(which)) == ((), [])
    assert {offer.command for offer in which.offers} == {f"retry {run['id']}" for run in runs}
    assert ids(them) == {run["id"] for run in runs}
    assert tools(second)[0][0] == "diagnose_flow_run"


async def test_a_run_that_was_begun_is_meant_by_its_name(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(), late_by=60)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        begun = Topic("default", (Thing("flow run", run["id"], ""),))
        await app.topics.note(talk.key, LOCAL, begun)
        cancel = await talk("cancel it")
    assert ids(cancel) == {run["id"]}
    assert run["name"] in cancel.text


async def test_and_another_name_is_asked_the_same(app_for: AppFactory, prefect_url: str, seed: Seed) -> None:
    deployment = await seed.deployment()
    one, other = [await seed.run(deployment, late_by=300) for _ in range(2)]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"why is {one['name']} late?")
        answer = await talk(f"and {other['name']}?")
    assert tools(answer) == [("diagnose_flow_run", {"flow_run": other["id"]})]


async def test_how_it_is_done_is_for_the_docs_and_offered_below(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(), late_by=300)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"why is {run['name']} late?")
        answer = await talk("how do I cancel it?")
    assert answer.citations
    assert f"cancel {run['id']}" in [offer.command for offer in answer.offers]


async def test_all_late_runs_of_a_deployment_are_one_card(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment(pool=await seed.pool())
    late = [await seed.run(deployment, late_by=300) for _ in range(3)]
    await seed.run(deployment, due_in=86_400)
    name = deployment["full_name"]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answers = [
            await ask(app, f"{verb} all {which} of {name}")
            for verb, which in (("cancel", "late runs"), ("please cancel", "the runs"))
        ]
        unclear = await ask(app, f"cancel all runs of {name} but {late[0]['name']}")
    assert [ids(answer) for answer in answers] == [{run["id"] for run in late}] * 2
    assert "3: 3 " in next(f.value for f in answers[0].cards[0].proposal.facts if f.label == "Runs")
    assert unclear.cards == ()
    assert "do not understand" in unclear.text


async def test_everything_that_failed_lately_is_retried_by_one_card(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool()
    deployment = await seed.deployment(pool=pool)
    failed, crashed, passed = [await seed.run(deployment) for _ in range(3)]
    for run, state in ((failed, "FAILED"), (crashed, "CRASHED"), (passed, "COMPLETED")):
        await seed.state(run, state)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        said = await ask(app, f"retry everything that failed in the last 2 hours on pool {pool}")
        crashes = await ask(app, f"retry all crashed runs of {deployment['full_name']} tonight")
        none = await ask(app, f"retry all cancelled runs of {deployment['full_name']}")
    assert ids(said) == {failed["id"], crashed["id"]}
    assert "FAILED or CRASHED since" in said.cards[0].proposal.facts[0].value
    assert ids(crashes) == {crashed["id"]}
    assert none.cards == ()
    assert "No run ended CANCELLED since" in none.text


async def test_what_another_run_began_is_left_to_that_run_and_said_to_be(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    parent = await seed.run(deployment)
    task = await seed.post(
        "task_runs/", {"flow_run_id": parent["id"], "task_key": "child", "dynamic_key": "0"}
    )
    child = await seed.run(deployment, parent_task_run_id=task["id"])
    for run in (child, parent):
        await seed.state(run, "FAILED")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"retry all failed runs of {deployment['full_name']}")
    assert ids(answer) == {parent["id"]}
    facts = {fact.label: fact.value for fact in answer.cards[0].proposal.facts}
    assert facts["Left out"].startswith("1 more")


@pytest.mark.slow
async def test_more_than_a_card_may_hold_are_counted_and_refused(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    await asyncio.gather(*(seed.run(deployment, state={"type": "FAILED"}) for _ in range(51)))
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"retry all failed runs of {deployment['full_name']}")
    assert answer.cards == ()
    assert "51 runs ended" in answer.text
    assert "no more than 50" in answer.text


async def test_all_on_a_pool_is_the_pool_whatever_it_is_called(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    pool = await seed.pool(stem="Prod Pool")
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        said = await ask(app, f'pause everything on the pool "{pool}"')
        plain = await ask(app, f'pause everything on "{pool}"')
    for answer in (said, plain):
        assert answer.cards[0].proposal.title == f"Pause the work pool {pool}"


@pytest.mark.parametrize(
    "question", ["why is {} late?", "what's blocking {}", "{} hasn't run since yesterday"]
)
async def test_a_name_with_spaces_is_found_without_quotes(
    app_for: AppFactory, prefect_url: str, seed: Seed, question: str
) -> None:
    flow = await seed.flow("Invoice Booking")
    deployment = await seed.deployment(flow=flow, name="eu prod")
    run = await seed.run(deployment, name=f"weekly #{secrets.token_hex(4)}", late_by=300)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        of_run = await ask(app, question.format(run["name"]))
        of_deployment = await ask(app, question.format(deployment["full_name"]))
    assert tools(of_run) == [("diagnose_flow_run", {"flow_run": run["id"]})]
    assert tools(of_deployment) == [("diagnose_flow_run", {"flow_run": deployment["full_name"]})]


async def test_a_name_that_nothing_has_is_told_before_the_docs(app_for: AppFactory, prefect_url: str) -> None:
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, "why did quokka-99 fail?")
        general = await ask(app, "why would a prefect-agent be late?")
    assert answer.text.startswith("_No run, deployment or work pool in Prefect is called `quokka-99`._")
    assert answer.citations
    assert "is called" not in general.text


async def test_of_two_runs_with_one_plain_name_the_choice_is_offered(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment = await seed.deployment()
    name = unique("castor").replace("-", "")
    twins = [await seed.run(deployment, name=name) for _ in range(2)]
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        answer = await ask(app, f"why is {name} late?")
    assert all(run["id"] in answer.text for run in twins)


async def test_a_prefect_that_dies_between_two_calls_is_not_told_as_the_models_failure(
    app_for: AppFactory, model: FakeModel, between: Between, seed: Seed
) -> None:
    name = (await seed.deployment())["full_name"]
    model.replies = [Say("I could not look.")]
    async with app_for(**model_variables(model), PREFECT_API_URL=between.url) as app:
        # The names are looked up; what is done then finds nobody.
        between.dies_after = 5
        answer = await ask(app, f"where does {name} run?")
    assert answer.text.startswith("I could not look.")
    assert "Prefect could not be asked just now" in model.last_messages[0]["content"]


async def test_with_a_model_no_near_names_are_looked_for(
    app_for: AppFactory, model: FakeModel, between: Between
) -> None:
    model.replies = [Say("Nothing is called so.")]
    async with app_for(**model_variables(model), PREFECT_API_URL=between.url) as app:
        await ask(app, f"why is {unique('run')} late?")
    assert len(between.asked("flow_runs/filter")) == 1


async def test_a_model_is_told_what_the_thread_has_spoken_of(
    app_for: AppFactory, model: FakeModel, prefect_url: str, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(), late_by=300)
    model.replies = [Say("It waits."), Say("Because it waits.")]
    async with app_for(**model_variables(model), PREFECT_API_URL=prefect_url) as app:
        talk = Talk(app)
        await talk(f"why {run['id']}")
        answer = await talk("why is it late?")
    assert tools(answer)[-1] == ("diagnose_flow_run", {"flow_run": run["id"]})
    system = model.last_messages[0]["content"]
    assert json.dumps(run["name"]) in system
    assert "no instruction" in system
