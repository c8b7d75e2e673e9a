"""The progress of a build, drawn in a terminal."""

from collections.abc import AsyncIterator
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from bot.indexing.reindex import Step
from knowledge.report import BuildReport
from knowledge.report import Progress as BuildProgress

FIRST_TIME = "Building the field guide's index, once; `ask-marvin reindex` adds the documentation."


class BuildBar:
    """A bar that shows the newest progress; left as a context, it is taken away."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("opening the index", total=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._bar.stop()

    def start(self) -> None:
        """Show it before the first step; harmless when it is shown already."""
        self._bar.start()

    def show(self, step: BuildProgress) -> None:
        self.start()
        text = f"{step.stage} {step.source}".strip()
        self._bar.update(self._task, description=text, completed=step.done, total=step.total or None)


async def show_build(steps: AsyncIterator[Step], console: Console, *, note: str = "") -> BuildReport | None:
    """Draw a progress bar for a build, if there is one; `note` is said when it begins. Gives its report."""
    report = None
    with BuildBar(console) as bar:
        bar.start()
        async for step in steps:
            if note:
                console.print(note, markup=False, soft_wrap=True)
                note = ""
            if isinstance(step, BuildReport):
                report = step
            else:
                bar.show(step)
    return report
