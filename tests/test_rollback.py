"""Going back to an older generation, staying there, and what is kept for it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from knowledge.contents import CONTENTS
from knowledge.errors import BadInput, IndexMissing, Refused
from knowledge.evaluation import EvalQuestion
from knowledge.generations import POINTER, Generations
from knowledge.library import Library
from knowledge.rollback import GenerationInfo, fall_back, list_generations, rollback
from knowledge.sources.config import SourceConfig
from tests.corpora import PAGES, WordEmbedder, run_build, write_pages

GOLDEN = [EvalQuestion(id="1", question="cron schedule", gold=("how-to-guides/schedules",))]


@pytest.fixture
def generate(index_dir: Path, docs: SourceConfig, words: WordEmbedder) -> Callable[[str], int]:
    """Builds a generation in which one page says that text; gives the live one afterwards."""

    def build(text: str, *, force: bool = False) -> int:
        assert docs.path
        write_pages(docs.path, {"news": f"# News\n\n{text}\n"})
        return run_build(index_dir, [docs], words.embedder, golden=GOLDEN, force=force).generation

    return build


def news(index_dir: Path, words: WordEmbedder) -> str:
    library = Library(index_dir, words.embedder)
    library.open()
    try:
        return library.page("news").markdown.strip()
    finally:
        library.close()


def damage(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def test_the_generation_before_is_live_again(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    generate("Second.")
    library = Library(index_dir, words.embedder)
    library.open()
    assert rollback(index_dir, words.embedder) == 1
    assert library.refresh()
    assert library.page("news").markdown.strip() == "First."
    library.close()


def test_any_generation_that_is_kept_can_be_chosen(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    for text in ("First.", "Second.", "Third."):
        generate(text)
    assert rollback(index_dir, words.embedder, to=1) == 1
    assert news(index_dir, words) == "First."
    assert rollback(index_dir, words.embedder, to=3) == 3
    assert news(index_dir, words) == "Third."


@pytest.mark.parametrize(
    ("to", "complaint"),
    [
        pytest.param(None, "no generation before 1", id="there is none before"),
        pytest.param(7, "no generation 7", id="unknown"),
        pytest.param(1, "live already", id="the live one"),
        pytest.param(-1, "no generation -1", id="negative"),
    ],
)
def test_what_cannot_be_gone_back_to_is_refused_with_a_way_out(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int], to: int | None, complaint: str
) -> None:
    generate("First.")
    with pytest.raises(BadInput, match=complaint) as refused:
        rollback(index_dir, words.embedder, to=to)
    assert "ask-marvin generations" in refused.value.fix


def test_with_no_index_there_is_nothing_to_go_back_from(index_dir: Path, words: WordEmbedder) -> None:
    with pytest.raises(IndexMissing):
        rollback(index_dir, words.embedder)


def test_a_damaged_generation_is_not_gone_back_to(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    generate("Second.")
    damage(index_dir / "1" / CONTENTS)
    with pytest.raises(Refused, match=r"Generation 1 cannot be made live\. .*damaged"):
        rollback(index_dir, words.embedder)
    assert news(index_dir, words) == "Second."


def test_a_generation_of_another_embedder_is_not_gone_back_to(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    other = WordEmbedder("other")
    run_build(index_dir, [docs], other.embedder)
    with pytest.raises(Refused, match="'words'"):
        rollback(index_dir, other.embedder)
    assert [info.problem for info in list_generations(index_dir, other.embedder)] == [
        "built with the embedder words",
        "",
    ]


def test_from_a_damaged_generation_one_can_go_back(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    generate("Second.")
    (index_dir / "2" / CONTENTS).unlink()
    assert rollback(index_dir, words.embedder) == 1


def test_nobody_goes_back_while_a_build_runs(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    generate("Second.")
    with Generations(index_dir).lock(), pytest.raises(Refused, match="already being built"):
        rollback(index_dir, words.embedder)


def test_what_was_rolled_back_from_is_kept_out_until_it_changes(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    generate("Wrong.")
    rollback(index_dir, words.embedder)
    words.texts.clear()
    for _ in range(2):
        report = run_build(index_dir, [docs], words.embedder)
        assert (report.swapped, report.generation) == (False, 1)
        assert "'docs' still holds what was rolled back from" in report.held_back
        assert "--force" in report.held_back
    assert words.texts == []
    assert generate("Right.") == 3
    assert news(index_dir, words) == "Right."
    assert generate("Wrong.") == 4  # by now it is meant


def test_what_was_rolled_back_from_can_be_forced_in(
    index_dir: Path, words: WordEmbedder, generate: Callable[..., int]
) -> None:
    generate("First.")
    generate("Wrong.")
    rollback(index_dir, words.embedder)
    assert generate("Wrong.", force=True) == 3
    assert news(index_dir, words) == "Wrong."


def test_other_sources_go_on_while_one_is_kept_out(
    tmp_path: Path, index_dir: Path, docs: SourceConfig, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    notes = write_pages(tmp_path / "notes", {"zebra": "# Zebra\n\nStripes.\n"})
    run_build(index_dir, [docs, notes], words.embedder)
    write_pages(tmp_path / "docs", {"news": "# News\n\nWrong.\n"})
    run_build(index_dir, [docs, notes], words.embedder)
    rollback(index_dir, words.embedder)
    write_pages(tmp_path / "notes", {"zebra": "# Zebra\n\nStripes in savannah.\n"})
    assert run_build(index_dir, [docs, notes], words.embedder, only="notes").swapped
    report = run_build(index_dir, [docs, notes], words.embedder, only="docs")
    assert "'docs' still holds" in report.held_back


def test_going_forward_again_keeps_nothing_out(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    generate("First.")
    generate("Second.")
    rollback(index_dir, words.embedder)
    rollback(index_dir, words.embedder, to=2)
    assert generate("First.") == 3


def test_going_back_twice_leads_past_what_was_left(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    for text in ("First.", "Wrong."):
        generate(text)
    rollback(index_dir, words.embedder)
    generate("Third.")
    assert rollback(index_dir, words.embedder) == 1


def test_retention_spares_what_was_live_before(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    for text in ("First.", "Second.", "Third."):
        generate(text)
    rollback(index_dir, words.embedder, to=1)
    generations = Generations(index_dir)
    assert generations.prune(keep=2) == []
    generate("Fourth.")
    assert generations.prune(keep=2) == [2]
    assert rollback(index_dir, words.embedder) == 1


def test_generations_are_listed_with_what_they_hold(
    index_dir: Path, docs: SourceConfig, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    assert list_generations(index_dir, words.embedder) == []
    generate("First.")
    generate("Second.")
    (index_dir / "1" / "manifest.json").write_text("{")
    broken, live = list_generations(index_dir, words.embedder)
    assert broken == GenerationInfo(generation=1, live=False, problem="damaged")
    assert (live.generation, live.live, live.problem) == (2, True, "")
    assert (live.pages, live.chunks) == (len(PAGES) + 1, len(PAGES) + 1)
    assert [source.name for source in live.sources] == ["docs"]
    assert live.score
    assert live.score.hit_at_5 == 1.0
    assert live.bytes
    assert live.bytes > 10_000


@pytest.mark.parametrize("file", [CONTENTS, "manifest.json", "lexicon.json", "chroma/chroma.sqlite3"])
def test_in_place_of_a_damaged_generation_the_newest_sound_one_answers(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int], file: str
) -> None:
    for text in ("First.", "Second.", "Third."):
        generate(text)
    damage(index_dir / "3" / file)
    damage(index_dir / "2" / file)
    assert fall_back(index_dir, words.embedder) == 1
    assert news(index_dir, words) == "First."


@pytest.mark.parametrize("pointer", [None, "", "nonsense", "99"])
def test_a_pointer_that_was_lost_is_found_again(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int], pointer: str | None
) -> None:
    generate("First.")
    generate("Second.")
    if pointer is None:
        (index_dir / POINTER).unlink()
    else:
        (index_dir / POINTER).write_text(pointer)
    assert fall_back(index_dir, words.embedder) == 2
    assert news(index_dir, words) == "Second."


def test_with_nothing_sound_there_is_nothing_to_fall_back_on(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    assert fall_back(index_dir, words.embedder) is None
    generate("First.")
    damage(index_dir / "1" / CONTENTS)
    assert fall_back(index_dir, words.embedder) is None


def test_going_back_from_one_that_is_not_live_any_more_is_refused(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    for text in ("First.", "Second.", "Third."):
        generate(text)
    with pytest.raises(Refused, match="Generation 3 is live by now"):
        rollback(index_dir, words.embedder, to=1, left=2)
    assert news(index_dir, words) == "Third."
    assert rollback(index_dir, words.embedder, to=1, left=3) == 1


def test_falling_back_does_not_lead_to_what_was_rolled_back_from(
    index_dir: Path, words: WordEmbedder, generate: Callable[[str], int]
) -> None:
    for text in ("First.", "Second.", "Wrong."):
        generate(text)
    rollback(index_dir, words.embedder)
    damage(index_dir / "2" / CONTENTS)
    assert fall_back(index_dir, words.embedder) == 1
