"""What `it`, `them` and `the one before` stand for in a thread, and what is asked of the docs all the same."""

import pytest

from bot.sentences.anaphora import refer
from bot.sentences.intents import Intent
from bot.sentences.topic import Thing, Topic

RUN = Thing("flow run", "id-1", "happy-otter")
OTHERS = tuple(Thing("flow run", f"id-{number}", f"run-{number}") for number in (2, 3, 4))
DEPLOYMENT = Thing("deployment", "etl/nightly", "etl/nightly")
POOL = Thing("work pool", "k8s-prod", "k8s-prod")
QUEUE = Thing("work queue", "k8s-prod/high", "k8s-prod/high")
WHY = Topic("default", (RUN,), (DEPLOYMENT, POOL, QUEUE), "why", ("resume pool k8s-prod", "cancel id-1"))
LIST = Topic("default", OTHERS, (), "runs")


@pytest.mark.parametrize(
    ("text", "thing", "intent"),
    [
        ("why did it fail?", RUN, "diagnose"),
        ("why did it fail", RUN, "diagnose"),
        ("Why?", RUN, "diagnose"),
        ("and why did that run crash", RUN, "diagnose"),
        ("is it stuck", RUN, "diagnose"),
        ("retry it", RUN, "retry"),
        ("retry that", RUN, "retry"),
        ("can you retry this please?", RUN, "retry"),
        ("please run it again", RUN, "retry"),
        ("cancel the run", RUN, "cancel"),
        ("kill it", RUN, "cancel"),
        ("show me its logs", RUN, "logs"),
        ("logs?", RUN, "logs"),
        ("show me the logs", RUN, "logs"),
        ("draw its timeline", RUN, "timeline"),
        ("where does it run?", RUN, "locate"),
        ("what parameters did it have?", RUN, "diagnose"),
        ("who started it?", RUN, "diagnose"),
        ("start it", DEPLOYMENT, "start"),
        ("pause it", DEPLOYMENT, "pause"),
        ("pause the deployment", DEPLOYMENT, "pause"),
        ("is the pool ok?", POOL, "diagnose"),
        ("pause the pool", POOL, "pause"),
        ("pause that queue", QUEUE, "pause"),
        ("what about the deployment?", DEPLOYMENT, None),
    ],
)
def test_it_is_what_the_answer_before_was_about(text: str, thing: Thing, intent: Intent | None) -> None:
    found = refer(text, [WHY])
    assert found is not None
    assert found.things == (thing,)
    assert found.intent == intent


@pytest.mark.parametrize(
    "text",
    [
        "how do I cancel a run?",
        "how do I retry it?",
        "should I cancel it?",
        "can I retry it safely?",
        "what happens if I cancel it?",
        "what does that mean?",
        "what is that?",
        "is it possible to run two at once?",
        "is it documented?",
        "why are my runs late in general?",
        "how does it work?",
        "what is a work pool?",
        "does a worker restart when it crashes?",
        "if a run fails, is it retried?",
        "what failed in the last 2 hours?",
        "I think that pools are fine",
        "thanks",
        "word " * 30 + "why did it fail?",
    ],
)
def test_a_question_to_the_docs_stands_for_itself_in_any_thread(text: str) -> None:
    assert refer(text, [WHY]) is None


def test_in_a_new_thread_nothing_is_meant() -> None:
    assert refer("why did it fail?", []) is None


def test_the_one_before_is_that_of_the_run() -> None:
    for text in ("and the one before?", "what about the run before that?", "the previous one?"):
        found = refer(text, [WHY])
        assert found is not None
        assert (found.things, found.before) == ((RUN,), True)


def test_of_several_one_has_to_be_named() -> None:
    found = refer("retry it", [LIST])
    assert found is not None
    assert found.one_of
    for text in ("retry them", "retry all of them", "cancel these"):
        them = refer(text, [LIST])
        assert them is not None
        assert (them.things, them.one_of) == (OTHERS, False)
    second = refer("why did the second one fail?", [LIST])
    assert second is not None
    assert second.things == OTHERS[1:2]


def test_them_are_the_several_that_were_spoken_of_before_the_one() -> None:
    found = refer("cancel them", [WHY, LIST])
    assert found is not None
    assert found.things == OTHERS


def test_the_second_one_is_of_the_list_also_when_one_of_it_was_spoken_of_since() -> None:
    for text, thing in (("why did the second one fail?", OTHERS[1]), ("retry the third one", OTHERS[2])):
        found = refer(text, [Topic("default", OTHERS[:1], (), "why"), LIST])
        assert found is not None
        assert found.things == (thing,)
    assert refer("why did the second one fail?", [WHY]) is None
    assert refer("retry the fifth one", [LIST]) is None
    alone = refer("retry the last run", [WHY, LIST])
    assert alone is not None
    assert alone.things == (RUN,)


def test_both_are_two_and_no_others() -> None:
    pair = Topic("default", OTHERS[:2], (), "runs")
    found = refer("cancel both", [LIST, pair])
    assert found is not None
    assert found.things == OTHERS[:2]
    assert refer("cancel both", [WHY, LIST]) is None


def test_how_long_it_usually_takes_is_asked_of_the_thing() -> None:
    found = refer("how long does it usually take?", [WHY])
    assert found is not None
    assert (found.things, found.intent) == ((RUN,), "timeline")


def test_it_is_what_the_answer_offered_to_do_with_just_one_thing() -> None:
    found = refer("resume it", [WHY])
    assert found is not None
    assert found.offered == "resume pool k8s-prod"


def test_of_a_deployment_again_is_another_run() -> None:
    found = refer("run it again", [Topic("default", (DEPLOYMENT,))])
    assert found is not None
    assert found.things == (DEPLOYMENT,)
