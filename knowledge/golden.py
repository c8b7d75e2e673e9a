"""The golden questions: asked of every new generation before it becomes the live one."""

from collections.abc import Collection, Sequence
from pathlib import Path

from knowledge.errors import BadInput
from knowledge.evaluation import EvalQuestion, load_questions
from knowledge.sources.config import option

SHIPPED = Path(__file__).with_name("golden.jsonl")
# Both generations are asked all of them, at some milliseconds a question: twenty seconds in all.
MAX_GOLDEN = 2_000


def load_golden(sources: Path | None) -> list[EvalQuestion]:
    """Read the file that sources.toml names by `golden = "FILE"`, relative to it; else the shipped set.

    Raises:
        BadInput: the file cannot be read, something in it is wrong, or it is too long.
    """
    name = option(sources, "golden")
    path = sources.resolve().parent / Path(name).expanduser() if sources and name else SHIPPED
    questions = load_questions(path)
    if len(questions) > MAX_GOLDEN:
        raise BadInput(
            f"{path.name} has {len(questions)} golden questions, and every reindex asks all of them.",
            f"Choose the {MAX_GOLDEN} that matter most.",
        )
    return questions


def about(questions: Sequence[EvalQuestion], pages: Collection[str]) -> list[EvalQuestion]:
    """Choose the questions that one of these pages is the right answer to."""
    return [found for found in questions if found.answerable and any(page in pages for page in found.gold)]
