"""The figures that are promised: `make bench ARGS="--docs FOLDER"`. Measures, prints, asserts nothing.

FOLDER holds Markdown pages; without one a made-up corpus of about the same size is used.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bot.reindex import Reindexer
from bot.settings import Settings
from knowledge.build import BuildReport
from knowledge.embed import static_embedder
from knowledge.library import Library
from tests.fakes.slack import FakeSlack

PAGES, SECTIONS, SENTENCES = 950, 8, 14
WORDS = [
    "worker",
    "pool",
    "deployment",
    "flow",
    "task",
    "run",
    "queue",
    "schedule",
    "state",
    "server",
    "docker",
    "kubernetes",
    "retry",
    "cache",
]
SEARCHES = 200
SEARCH_PROBES = (
    "what is a workpool",
    "why is my run late",
    "PREFECT_API_URL",
    "flow.from_source with a private repository",
    "retry a task with delay",
    "kubernetes worker namespace",
)


def resident(pid: int) -> float:
    """MB of memory that the process has resident, what it shares with others counted by its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def resident_alone(pid: int) -> float:
    """The same with what is shared counted in full, as `ps` shows it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, help="a folder of Markdown pages")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ask-marvin-bench-") as folder:
        root = Path(folder)
        docs = options.docs or made_up(root / "docs")
        settings = configure(root, docs.resolve())
        asyncio.run(measure(settings))


def configure(root: Path, docs: Path, **more: str) -> Settings:
    sources = root / "sources.toml"
    text = (
        f'[[source]]\nname = "docs"\nkind = "files"\npath = "{docs}"\nbase_url = "https://docs.prefect.io"\n'
    )
    sources.write_text(text)
    return Settings.from_env(
        {"ASK_MARVIN_HOME": str(root / "home"), "ASK_MARVIN_SOURCES": str(sources), **more}
    )


async def measure(settings: Settings) -> None:
    report, child_peak = await with_peak(lambda: reindex(settings, full=True))
    tell(
        "full index",
        f"{report.pages.added} pages, {report.chunks} chunks",
        f"{report.seconds:.1f} s",
        "< 40 s",
    )
    tell("its process", "peak resident memory", f"{child_peak:.0f} MB", "")
    again = await reindex(settings, full=False)
    tell("index with no change", f"{again.pages.unchanged} pages", f"{again.seconds:.1f} s", "")
    search(settings)
    await serve(settings)


async def reindex(settings: Settings, *, full: bool) -> BuildReport:
    async for step in Reindexer(settings).run(full=full):
        if isinstance(step, BuildReport):
            return step
    raise AssertionError("the build gave no report")


def search(settings: Settings) -> None:
    library = Library(settings.index_folder, static_embedder())
    library.open()
    library.search("warm up")
    times = [
        timed(lambda q=probe: library.search(q)) for probe in SEARCH_PROBES * (SEARCHES // len(SEARCH_PROBES))
    ]
    library.close()
    p95 = statistics.quantiles(times, n=20)[-1]
    tell("search", f"median of {len(times)}", f"{statistics.median(times) * 1000:.1f} ms", "< 20 ms")
    tell("search", "95th percentile", f"{p95 * 1000:.1f} ms", "")


async def serve(settings: Settings) -> None:
    """A server as it is started in production, against a Slack of our own, and a reindex beside it."""
    async with FakeSlack() as slack:
        variables = {
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "SLACK_API_URL": slack.api_url,
            "ASK_MARVIN_PORT": "0",
        }
        env = {**os.environ, **settings.environ(), **variables, "MALLOC_ARENA_MAX": "2"}
        began = time.perf_counter()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "serve", env=env, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            post = slack.mention("what is a workpool?")
            await slack.deliver(post.envelopes[0], timeout=30)
            tell("serve", "start to first acknowledgement", f"{time.perf_counter() - began:.2f} s", "< 3 s")
            await slack.until(lambda: slack.thread(post.channel, post.ts).bot, timeout=30)
            tell("serve", "start to first answer", f"{time.perf_counter() - began:.2f} s", "")
            tell(
                "serve", "resident memory after an answer", f"{resident_alone(child.pid):.0f} MB", "< 400 MB"
            )
            for measure, how in ((resident, "shared once"), (resident_alone, "sum of RSS")):
                _, peak = await with_peak(
                    lambda: reindex(settings, full=True), beside=child.pid, measure=measure
                )
                tell("serve", f"peak with a full reindex, {how}", f"{peak:.0f} MB", "< 400 MB")
        finally:
            child.terminate()
            await child.wait()


async def with_peak(
    work: Callable[[], Any], *, beside: int = 0, measure: Callable[[int], float] = resident_alone
) -> tuple[Any, float]:
    """Run it, and give the highest memory of its child processes, plus that of the process `beside`."""
    task, peak = asyncio.ensure_future(work()), 0.0
    while not task.done():
        await asyncio.wait({task}, timeout=0.1)
        children = [pid for pid in children_of(os.getpid()) if pid != beside]
        peak = max(peak, sum(map(measure, children)) + (measure(beside) if beside else 0.0))
    return task.result(), peak


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def made_up(folder: Path) -> Path:
    """Pages about as many and as long as a real documentation's."""
    folder.mkdir()
    for page in range(PAGES):
        sections = [
            f"## Section {section}\n\n"
            + " ".join(
                f"The {WORDS[(page + s) % len(WORDS)]} number {page} has a {WORDS[(section + s) % len(WORDS)]}."
                for s in range(SENTENCES)
            )
            for section in range(SECTIONS)
        ]
        (folder / f"page-{page}.md").write_text(f"# Page {page}\n\n" + "\n\n".join(sections))
    return folder


def tell(what: str, detail: str, figure: str, wanted: str) -> None:
    print(f"{what:22} {detail:36} {figure:>10}  {wanted}", flush=True)


if __name__ == "__main__":
    main()
