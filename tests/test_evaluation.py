"""How questions are scored, and where the line is drawn between weak and sure searches."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from knowledge.abstention import THRESHOLD_FILE, load_threshold, measure, save_threshold
from knowledge.confidence import WEAK_BELOW, Signs, confidence, said
from knowledge.embed import static_embedder
from knowledge.errors import BadInput
from knowledge.evaluation import EvalQuestion, evaluate, load_questions, rank
from knowledge.library import Library
from knowledge.models import Passage
from knowledge.sources.config import FIELD_GUIDE

SURE, UNSURE = Signs(said=1, told=0.6, agreement=1, lead=1), Signs(said=0.4, told=0, agreement=0, lead=0.7)


def passage(page: str, source: str = "docs") -> Passage:
    return Passage(rank=1, score=1, page=page, title="", heading="", url="", source=source, text="")


def finds(*pages: str) -> Sequence[Passage]:
    return [passage(page) for page in pages]


def test_a_hit_is_the_place_of_the_first_right_page() -> None:
    questions = [
        EvalQuestion(id="first", question="one", gold=("a",)),
        EvalQuestion(id="third", question="two", acceptable=("c",)),
        EvalQuestion(id="never", question="three", gold=("z",)),
    ]
    found = evaluate(lambda _question, _top: finds("a", "b", "c"), questions)
    assert (found.questions, found.hit_at_1, found.hit_at_3) == (3, 0.3333, 0.6667)
    assert found.mrr == pytest.approx((1 + 1 / 3) / 3, abs=1e-4)


def test_pages_count_once_and_the_field_guides_own_not_at_all() -> None:
    def search(_question: str, _top: int) -> Sequence[Passage]:
        return [passage("guide", FIELD_GUIDE.name), *finds("a", "a", "b")]

    (found,) = rank(search, [EvalQuestion(id="1", question="one", gold=("b",))])
    assert (found.pages, found.rank) == (("a", "b"), 2)


def test_unanswerable_questions_are_no_misses() -> None:
    questions = [
        EvalQuestion(id="1", question="one", gold=("a",)),
        EvalQuestion(id="2", question="two", kind="unanswerable"),
    ]
    found = evaluate(lambda _question, _top: finds("a"), questions)
    assert (found.questions, found.hit_at_1, found.mrr) == (1, 1.0, 1.0)


def test_scores_are_written_with_the_names_of_the_field() -> None:
    found = evaluate(lambda _question, _top: [], [EvalQuestion(id="1", question="one", gold=("a",))])
    assert set(found.model_dump(by_alias=True)) == {
        "questions",
        "hit@1",
        "hit@3",
        "hit@5",
        "mrr",
        "latency_ms",
    }


def test_a_wrong_line_of_questions_is_named(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"id": "1", "question": "one"}\n\n{"id": "2"}\n')
    with pytest.raises(BadInput, match="line 3"):
        load_questions(file)


@pytest.mark.parametrize("text", ["", "\n\n", None])
def test_a_file_without_questions_is_refused(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "questions.jsonl"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadInput):
        load_questions(file)


def test_what_a_passage_says_in_other_words_counts_in_part() -> None:
    question = "how do I stop a container"
    same, near, far = (
        said(question, [text])
        for text in ("how do I stop a container", "terminate the docker process", "a cake with cherries")
    )
    assert same == pytest.approx(1.0)
    assert same > near > far


def test_nothing_found_says_nothing() -> None:
    assert said("how do I stop a container", []) == 0.0


def test_every_sign_makes_a_search_surer() -> None:
    weak = confidence(UNSURE)
    for sign in ("said", "told", "agreement", "lead"):
        values = {name: getattr(SURE if name == sign else UNSURE, name) for name in vars(UNSURE)}
        assert confidence(Signs(**values)) > weak
    assert weak < WEAK_BELOW < 0.5 < confidence(SURE)


def test_the_line_costs_no_more_than_was_allowed() -> None:
    curve = measure([(SURE, place / 100) for place in range(100)], [0.01, 0.05, 0.5], 0.08)
    assert curve.chosen.weak_below == 0.08
    assert (curve.chosen.caught, curve.chosen.false_alarms) == (0.6667, 0.08)
    assert all(
        before.caught <= after.caught for before, after in zip(curve.points, curve.points[1:], strict=False)
    )


def test_the_area_is_one_where_all_are_told_apart_and_a_half_where_none_is() -> None:
    sure = [(SURE, 0.8), (SURE, 0.9)]
    assert measure(sure, [0.1, 0.2], 0.08).auc == 1.0
    assert measure(sure, [0.8, 0.9], 0.08).auc == 0.5


def test_both_kinds_of_questions_are_needed() -> None:
    with pytest.raises(BadInput, match="0 unanswerable"):
        measure([(SURE, 0.8), (SURE, 0.9)], [], 0.08)


def test_the_line_is_the_default_until_it_is_set(tmp_path: Path) -> None:
    assert load_threshold(tmp_path) == WEAK_BELOW
    save_threshold(tmp_path, 0.4)
    assert load_threshold(tmp_path) == 0.4


@pytest.mark.parametrize("text", ["", "{}", '{"weak_below": 7}'])
def test_a_line_that_is_none_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / THRESHOLD_FILE).write_text(text)
    with pytest.raises(BadInput, match=THRESHOLD_FILE):
        load_threshold(tmp_path)


@pytest.mark.parametrize(
    ("question", "weak"),
    [
        ("what is a work pool?", False),
        ("why is my run late, nobody polls the pool", False),
        ("which cheese goes with a pinot noir?", True),
        ("when does the museum in Lisbon open on Sundays?", True),
    ],
)
def test_a_question_about_something_else_is_weak(guide_index: Path, question: str, weak: bool) -> None:
    library = Library(guide_index, static_embedder())
    library.open()
    found = library.find(question)
    library.close()
    assert found.weak is weak
    assert 0 <= found.confidence <= 1


def test_how_sure_a_search_is_does_not_depend_on_how_much_is_asked_for(guide_index: Path) -> None:
    library = Library(guide_index, static_embedder(), weak_below=0.0)
    library.open()
    one, many = library.find("what is a work pool?", 1), library.find("what is a work pool?", 20)
    library.close()
    assert one.confidence == many.confidence
    assert not library.ready


def test_the_shipped_questions_have_both_kinds() -> None:
    questions = load_questions(Path(__file__).parents[1] / "knowledge" / "golden.jsonl")
    answerable = [question for question in questions if question.answerable]
    assert len(answerable) >= 100
    assert all(question.gold for question in answerable)
    assert len(questions) - len(answerable) >= 15
    assert len({question.id for question in questions}) == len(questions)


@pytest.mark.parametrize("question", ["", " ", "😀", "?!", "\\ud800", "a" * 100])
def test_a_question_without_words_is_named_by_its_line(tmp_path: Path, question: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(f'{{"id": "a", "question": "pools"}}\n{{"id": "b", "question": "{question}"}}\n')
    with pytest.raises(BadInput, match="line 2: the question has no words in it"):
        load_questions(file)


def test_a_line_ends_only_where_json_lines_do(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('\ufeff{"id": "a", "question": "work\u2028pools"}\r\n', encoding="utf-8")
    assert [found.question for found in load_questions(file)] == ["work\u2028pools"]


def test_a_line_that_nests_without_end_is_no_question(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text("[" * 100_000)
    with pytest.raises(BadInput, match="line 1: this is no question"):
        load_questions(file)
