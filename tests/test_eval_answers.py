"""Scoring answers: by a judging model, and by words where there is none."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from bot.app import DATABASE_FILE
from bot.evals.answers import AnswerReport, answers, evaluate
from bot.evals.judge import lexical_judge
from bot.evals.scores import pages_of
from bot.events import Citation
from bot.settings import Settings
from knowledge.errors import BadInput
from knowledge.evaluation import EvalQuestion
from tests.fakes.model import Fail, FakeModel, Reply, Say
from tests.house import AppFactory, model_variables

POOL = EvalQuestion(
    id="q1",
    question="what is a work pool?",
    kind="concept",
    gold=("v3/concepts/work-pools",),
    must_say=("a work pool is a bridge to infrastructure", "it has a type"),
    must_not_say=("it is a kind of queue",),
)
WORKER = EvalQuestion(
    id="q2", question="what is a worker?", kind="howto", gold=("v3/nowhere",), must_say=("it polls",)
)
BREAD = EvalQuestion(id="q3", question="who won the football world cup in 1974?", kind="unanswerable")


def verdicts(*said: str) -> Say:
    return Say(json.dumps({"statements": said}))


async def report(
    app_for: AppFactory, model: FakeModel | None, *questions: EvalQuestion, repeat: int = 1
) -> AnswerReport:
    async with app_for(**(model_variables(model) if model else {})) as app:
        return await evaluate(app, questions, repeat=repeat)


async def test_a_model_judges_each_answer_in_one_call(app_for: AppFactory, model: FakeModel) -> None:
    model.replies = [Say("A bridge to infrastructure, and a queue [1].\nVERDICT: answered")]
    model.asides["judge"] = verdicts("said", "absent", "said")
    found = await report(app_for, model, POOL)
    assert found.scored_by == "scripted"
    assert (found.overall.must_say, found.overall.must_not_say) == (0.5, 1.0)
    assert found.overall.citations == 1.0
    assert [j.verdict for j in found.questions[0].attempts[0].must_say] == ["said", "absent"]
    sent = model.aside_requests["judge"][0]["messages"][-1]["content"]
    assert "1. a work pool is a bridge" in sent
    assert "3. it is a kind of queue" in sent
    assert "<answer>\nA bridge to infrastructure, and a queue [1].\n</answer>" in sent


async def test_the_same_answer_is_judged_once(app_for: AppFactory, model: FakeModel) -> None:
    model.script = lambda _body: Say("A bridge [1].\nVERDICT: answered")
    model.asides["judge"] = verdicts("said", "said", "absent")
    found = await report(app_for, model, POOL, repeat=3)
    assert len(found.questions[0].attempts) == 3
    assert len(model.aside_requests["judge"]) == 1
    assert found.overall.agreement == 1.0


@pytest.mark.parametrize(
    ("second", "agreement"),
    [
        pytest.param("In other words: a bridge, really [1].", 1.0, id="other words"),
        pytest.param("A bridge, they say [1][2][3][4][5][6][7][8].", 0.0, id="other pages"),
        pytest.param("No bridge at all [1].", 0.0, id="another verdict"),
    ],
)
async def test_repeats_agree_in_pages_and_verdicts_not_in_words(
    app_for: AppFactory, model: FakeModel, second: str, agreement: float
) -> None:
    def judge(body: dict[str, Any]) -> Reply:
        answer = body["messages"][-1]["content"]
        return verdicts("contradicted" if "No bridge" in answer else "said", "absent", "absent")

    model.replies = [Say(f"{text}\nVERDICT: answered") for text in ("A bridge [1].", second)]
    model.asides["judge"] = judge
    compared = POOL.model_copy(update={"question": "how do worker, work pool, schedule and agent differ?"})
    found = await report(app_for, model, compared, repeat=2)
    assert found.overall.agreement == agreement


async def test_a_question_that_fails_is_counted_and_the_others_are_scored(
    app_for: AppFactory, model: FakeModel
) -> None:
    def script(body: dict[str, Any]) -> Reply:
        if "worker" in body["messages"][-1]["content"].split("<question>")[1]:
            return Fail(400, "no")
        return Say("A bridge [1].\nVERDICT: answered")

    model.script = script
    model.asides["judge"] = verdicts("said", "said", "absent")
    found = await report(app_for, model, POOL, WORKER)
    assert [asked.question.id for asked in found.questions] == ["q1", "q2"]
    assert (found.overall.questions, found.overall.failed) == (2, 1)
    assert found.overall.must_say == 1.0
    assert found.questions[1].failed
    assert found.kinds["howto"].must_say is None


@pytest.mark.parametrize(
    "reply", [Say("they all are"), verdicts("said"), verdicts("said", "said", "maybe"), Fail(400, "no")]
)
async def test_a_judgement_that_cannot_be_read_fails_its_question_alone(
    app_for: AppFactory, model: FakeModel, reply: Reply
) -> None:
    model.script = lambda _body: Say("A bridge [1].\nVERDICT: answered")
    model.asides["judge"] = reply
    found = await report(app_for, model, POOL)
    assert found.overall.failed == 1


async def test_without_a_model_the_words_are_counted_and_that_is_said(app_for: AppFactory) -> None:
    found = await report(app_for, None, POOL, WORKER, BREAD, repeat=2)
    assert found.scored_by == "lexical"
    assert found.overall.must_not_say is None
    assert found.overall.must_say is not None
    assert 0 < found.overall.must_say <= 1
    assert found.overall.agreement == 1.0
    assert (found.overall.abstained_unanswerable, found.overall.abstained_others) == (1.0, 0.0)
    assert list(found.kinds) == ["concept", "howto", "unanswerable"]


async def test_nothing_but_the_docs_is_at_hand_while_answers_are_scored(
    app_for: AppFactory, model: FakeModel
) -> None:
    model.replies = [Say("A bridge [1].\nVERDICT: answered")]
    model.asides["judge"] = verdicts("said", "said", "absent")
    await report(app_for, model, POOL)
    offered = {tool["function"]["name"] for tool in model.requests[0]["tools"]}
    assert offered == {"search_docs", "read_page"}


async def test_the_lexical_judge_gives_the_share_of_telling_words() -> None:
    statements = ["the worker polls a pool", "it sleeps", "the"]
    judged = await lexical_judge("", "Workers poll their pools.", statements)
    assert [(j.verdict, j.share) for j in judged] == [("said", 1.0), ("absent", 0.0), ("absent", 0.0)]


def test_cited_pages_are_paths_and_an_index_page_is_its_folder() -> None:
    urls = [
        "https://docs.example.com/v3/concepts/work-pools#types",
        "https://docs.example.com/v3/concepts/work-pools",
        "https://docs.example.com/v3/get-started/index",
    ]
    found = pages_of([Citation(n=n, title="", url=url, source="docs") for n, url in enumerate(urls)])
    assert found == ("v3/concepts/work-pools", "v3/get-started")


def options(
    questions: Path, *, as_json: bool, repeat: int = 1, limit: int | None = None
) -> argparse.Namespace:
    return argparse.Namespace(questions=str(questions), json=as_json, repeat=repeat, limit=limit)


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(question.model_dump_json() for question in (POOL, WORKER, BREAD)))
    return file


async def test_the_command_prints_one_document_and_leaves_no_conversation_behind(
    home: Path, tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / DATABASE_FILE).unlink()
    environ = {"ASK_MARVIN_HOME": str(home), "PREFECT_HOME": str(tmp_path / "prefect")}
    assert await answers(options(questions, as_json=True, limit=2), Settings.from_env(environ), environ) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["scored_by"] == "lexical"
    assert [asked["question"]["id"] for asked in document["questions"]] == ["q1", "q2"]
    assert document["kinds"].keys() == {"concept", "howto"}
    assert not list(home.glob("*.sqlite3"))


async def test_the_command_says_in_its_table_that_words_were_counted(
    home: Path, tmp_path: Path, questions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"ASK_MARVIN_HOME": str(home), "PREFECT_HOME": str(tmp_path / "prefect")}
    await answers(options(questions, as_json=False), Settings.from_env(environ), environ)
    out = capsys.readouterr().out
    assert "unanswerable" in out
    assert "lexical" in out


@pytest.mark.parametrize(("repeat", "limit"), [(0, None), (21, None), (1, 0)])
async def test_wrong_numbers_are_told(questions: Path, repeat: int, limit: int | None) -> None:
    with pytest.raises(BadInput):
        await answers(options(questions, as_json=True, repeat=repeat, limit=limit), Settings(), {})
