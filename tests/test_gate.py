"""What has to be so for a new generation to become the live one."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from knowledge.errors import BadInput
from knowledge.evaluation import EvalQuestion, Latency, Scores
from knowledge.gate import drops
from knowledge.generations import Generations
from knowledge.golden import MAX_GOLDEN, load_golden
from knowledge.report import LISTED, BuildReport
from knowledge.sources.config import FIELD_GUIDE, SourceConfig, load_sources
from tests.corpora import WordEmbedder, first_page, run_build, write_pages

ANIMALS = (
    *("zebra", "giraffe", "lion", "tiger", "panda", "koala", "otter", "badger", "beaver", "camel"),
    *("falcon", "heron", "ibis", "jackal", "lemur", "moose", "newt", "ocelot", "puma", "quail"),
)
# Paths without the animals' names, as those are searched as well.
PATHS = {name: f"animals/{number}" for number, name in enumerate(ANIMALS)}
PAGES = {path: f"# {name.title()}\n\nThe {name} is at home here.\n" for name, path in PATHS.items()}
GOLDEN = [
    EvalQuestion(id=name, question=f"where is the {name} at home", gold=(path,))
    for name, path in PATHS.items()
]
SIGN_IN = "# Welcome\n\nYou have to sign in to read this.\n"


@pytest.fixture
def docs(tmp_path: Path, index_dir: Path, words: WordEmbedder) -> SourceConfig:
    """Twenty pages, which are the live generation's."""
    docs = write_pages(tmp_path / "docs", PAGES)
    run_build(index_dir, [docs], words.embedder, golden=GOLDEN)
    return docs


def break_pages(docs: SourceConfig, names: Sequence[str]) -> None:
    assert docs.path
    write_pages(docs.path, {PATHS[name]: SIGN_IN for name in names})


def remove_pages(docs: SourceConfig, names: Sequence[str]) -> None:
    assert docs.path
    for name in names:
        (docs.path / f"{PATHS[name]}.md").unlink()


def test_a_generation_that_answers_less_is_held_back(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    break_pages(docs, ANIMALS[:10])
    report = run_build(index_dir, [docs], words.embedder, golden=GOLDEN)
    assert (report.swapped, report.generation) == (False, 1)
    assert report.score_before
    assert report.score_after
    assert (report.score_before.questions, report.score_before.hit_at_5) == (len(ANIMALS), 1.0)
    assert f"from 1.000 to {report.score_after.hit_at_5:.3f}" in report.held_back
    assert "20 golden questions" in report.held_back
    assert "generation 1 stays live" in report.held_back
    assert "--force" in report.held_back
    assert (Generations(index_dir).numbers(), list(index_dir.glob("*.building"))) == ([1], [])
    assert first_page(index_dir, words, "zebra") == PATHS["zebra"]


def test_force_overrides_and_the_scores_are_told(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    break_pages(docs, ANIMALS[:10])
    report = run_build(index_dir, [docs], words.embedder, golden=GOLDEN, force=True)
    assert (report.swapped, report.generation, report.held_back) == (True, 2, "")
    assert report.score_before
    assert report.score_after
    assert report.score_after.hit_at_5 < report.score_before.hit_at_5
    assert Generations(index_dir).manifest(2).score == report.score_after


def test_one_question_that_is_lost_is_let_pass(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    break_pages(docs, ANIMALS[:1])
    assert run_build(index_dir, [docs], words.embedder, golden=GOLDEN).swapped


def test_a_build_without_changes_asks_nothing_and_tells_the_score_that_is_known(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    words.texts.clear()
    report = run_build(index_dir, [docs], words.embedder, golden=GOLDEN)
    assert words.texts == []
    assert report.score_before == report.score_after == Generations(index_dir).manifest(1).score


def test_both_generations_are_asked_but_each_question_is_embedded_once(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    words.texts.clear()
    assert docs.path
    write_pages(docs.path, {"animals/yak": "# Yak\n\nThe yak is at home elsewhere.\n"})
    run_build(index_dir, [docs], words.embedder, golden=GOLDEN)
    asked = [text for text in words.texts if "\n" not in text]
    assert len(asked) == len(set(asked)) == len(GOLDEN)


def test_the_first_index_has_no_gate(tmp_path: Path, index_dir: Path, words: WordEmbedder) -> None:
    docs = write_pages(tmp_path / "docs", dict.fromkeys(PAGES, SIGN_IN))
    report = run_build(index_dir, [docs], words.embedder, golden=GOLDEN)
    assert report.swapped
    assert report.score_before is None
    assert report.score_after


def test_documentation_that_joins_the_field_guide_is_never_held_back(
    tmp_path: Path, index_dir: Path, words: WordEmbedder
) -> None:
    run_build(index_dir, [FIELD_GUIDE], words.embedder, golden=GOLDEN)
    docs = write_pages(tmp_path / "docs", dict.fromkeys(PAGES, SIGN_IN))
    report = run_build(index_dir, [FIELD_GUIDE, docs], words.embedder, golden=GOLDEN)
    assert (report.swapped, report.score_before) == (True, None)


def test_a_source_that_is_taken_out_on_purpose_is_not_missed(
    tmp_path: Path, index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    notes = write_pages(tmp_path / "notes", {"other": "# Other\n\nSomething else.\n"})
    run_build(index_dir, [docs, notes], words.embedder, golden=GOLDEN)
    report = run_build(index_dir, [notes], words.embedder, golden=GOLDEN)
    assert (report.swapped, report.score_before) == (True, None)
    assert report.sources[-1].pages.removed == len(ANIMALS)
    assert len(report.sources[-1].changes) == len(ANIMALS)


def test_a_source_that_is_added_on_purpose_may_crowd_the_others(
    tmp_path: Path, index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    loud = {
        f"loud/{name}-{n}": f"# {name.title()}\n\nWhere is the {name} at home, {name} {n}?\n"
        for name in ANIMALS
        for n in range(6)
    }
    notes = write_pages(tmp_path / "notes", loud)
    report = run_build(index_dir, [docs, notes], words.embedder, golden=GOLDEN)
    assert (report.swapped, report.held_back) == (True, "")
    assert report.score_before
    assert report.score_after
    assert report.score_after.hit_at_5 == report.score_before.hit_at_5


def test_questions_about_pages_that_neither_has_are_left_out(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    golden = [
        *GOLDEN,
        EvalQuestion(id="other", question="anything", gold=("elsewhere",)),
        EvalQuestion(id="none", question="anything", kind="unanswerable", gold=(PATHS["zebra"],)),
    ]
    break_pages(docs, ANIMALS[:1])
    report = run_build(index_dir, [docs], words.embedder, golden=golden)
    assert report.score_after
    assert report.score_after.questions == len(GOLDEN)


def test_an_index_of_another_embedder_is_not_compared(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    break_pages(docs, ANIMALS[:10])
    report = run_build(index_dir, [docs], WordEmbedder("other").embedder, golden=GOLDEN)
    assert (report.swapped, report.score_before) == (True, None)


def test_a_damaged_live_generation_does_not_hold_back_its_replacement(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    (index_dir / "1" / "lexicon.json").write_text("{}")
    break_pages(docs, ANIMALS[:10])
    assert run_build(index_dir, [docs], words.embedder, golden=GOLDEN).swapped


def test_a_source_that_lost_many_pages_is_held_back_without_a_question(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    remove_pages(docs, ANIMALS[:11])
    report = run_build(index_dir, [docs], words.embedder)
    assert not report.swapped
    assert "'docs' shrinks from 20 to 9 pages" in report.held_back
    assert run_build(index_dir, [docs], words.embedder, force=True).swapped


def test_a_few_pages_may_go_and_many_may_move(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    remove_pages(docs, ANIMALS[:10])
    assert run_build(index_dir, [docs], words.embedder).swapped
    assert docs.path
    (docs.path / "animals").rename(docs.path / "beasts")
    report = run_build(index_dir, [docs], words.embedder)
    assert (report.swapped, report.pages.added, report.pages.removed) == (True, 10, 10)


def test_a_failing_source_is_not_taken_for_a_loss(
    tmp_path: Path, index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    notes = write_pages(tmp_path / "notes", {"other": "# Other\n\nSomething else.\n"})
    gone = docs.model_copy(update={"path": tmp_path / "nowhere"})
    report = run_build(index_dir, [gone, notes], words.embedder, golden=GOLDEN)
    assert (report.swapped, report.held_back) == (True, "")


def changes_of(report: BuildReport) -> set[tuple[str, str, str]]:
    return {(change.change, change.page, change.title) for change in report.sources[0].changes}


def test_the_report_names_the_pages_that_differ(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder
) -> None:
    assert docs.path
    write_pages(docs.path, {PATHS["zebra"]: SIGN_IN, "animals/yak": "# Yak\n\nNew here.\n"})
    remove_pages(docs, ["lion"])
    report = run_build(index_dir, [docs], words.embedder)
    assert changes_of(report) == {
        ("changed", PATHS["zebra"], "Welcome"),
        ("added", "animals/yak", "Yak"),
        ("removed", PATHS["lion"], "Lion"),
    }
    assert {change.url for change in report.sources[0].changes} > {
        f"https://docs.example.com/{PATHS['lion']}"
    }


def test_the_named_pages_are_few_and_the_numbers_true(
    tmp_path: Path, index_dir: Path, words: WordEmbedder
) -> None:
    many = write_pages(tmp_path / "many", {f"page-{n}": f"# Page {n}\n\nText.\n" for n in range(50)})
    report = run_build(index_dir, [many], words.embedder)
    assert (report.pages.added, len(report.sources[0].changes)) == (50, LISTED)


def scores(questions: int, hit_at_5: float, mrr: float) -> Scores:
    return Scores(
        questions=questions,
        hit_at_1=0.5,
        hit_at_3=0.5,
        hit_at_5=hit_at_5,
        mrr=mrr,
        latency_ms=Latency(p50=1, p95=1),
    )


@pytest.mark.parametrize(
    ("questions", "before", "after", "named"),
    [
        pytest.param(100, (0.95, 0.80), (0.92, 0.77), set(), id="three of a hundred"),
        pytest.param(100, (0.95, 0.80), (0.91, 0.80), {"hit@5"}, id="four of a hundred"),
        pytest.param(100, (0.95, 0.80), (0.95, 0.76), {"MRR"}, id="found, but further down"),
        pytest.param(7, (1.0, 1.0), (0.8571, 0.8571), set(), id="one of seven"),
        pytest.param(7, (1.0, 1.0), (0.7143, 0.7143), {"hit@5", "MRR"}, id="two of seven"),
        pytest.param(100, (0.50, 0.40), (0.90, 0.80), set(), id="better"),
    ],
)
def test_how_far_scores_may_fall(
    questions: int, before: tuple[float, float], after: tuple[float, float], named: set[str]
) -> None:
    said = " ".join(drops(scores(questions, *before), scores(questions, *after)))
    assert {name for name in ("hit@5", "MRR") if name in said} == named


def test_golden_questions_of_ones_own_lie_beside_the_sources(tmp_path: Path) -> None:
    (tmp_path / "ours.jsonl").write_text('{"id": "1", "question": "where?", "gold": ["here"]}\n')
    sources = tmp_path / "sources.toml"
    sources.write_text('golden = "ours.jsonl"\n')
    assert [question.gold for question in load_golden(sources)] == [("here",)]
    assert [source.name for source in load_sources(sources)] == ["field-guide"]


def test_without_a_file_of_ones_own_the_shipped_questions_are_asked(tmp_path: Path) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text("field_guide = true\n")
    shipped = load_golden(None)
    assert load_golden(sources) == shipped
    assert len(shipped) > 40
    assert all(question.gold for question in shipped if question.answerable)


@pytest.mark.parametrize(
    ("said", "written", "complaint"),
    [
        pytest.param('golden = "ours.jsonl"', None, "ours.jsonl", id="no such file"),
        pytest.param('golden = "ours.jsonl"', "{", "line 1", id="no JSON"),
        pytest.param("golden = 7", "", "golden", id="no text"),
        pytest.param('golden = ""', "", "golden", id="empty"),
        pytest.param(
            'golden = "ours.jsonl"',
            '{"id": "1", "question": "pools?"}\n' * (MAX_GOLDEN + 1),
            str(MAX_GOLDEN + 1),
            id="too many",
        ),
    ],
)
def test_golden_questions_that_cannot_be_asked_are_refused(
    tmp_path: Path, said: str, written: str | None, complaint: str
) -> None:
    sources = tmp_path / "sources.toml"
    sources.write_text(said)
    if written is not None:
        (tmp_path / "ours.jsonl").write_text(written)
    with pytest.raises(BadInput) as refused:
        load_golden(sources)
    assert complaint in refused.value.message
    assert refused.value.fix
