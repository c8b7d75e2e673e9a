"""The figures that are promised: `make bench ARGS="--docs FOLDER"`. Measures, prints, asserts nothing.

FOLDER holds Markdown pages, as at Prefect's own documentation; without one a made-up corpus of about the same size
is used, and nothing is said about quality. QUESTIONS are the shipped ones unless others are given.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import knowledge
from bot.indexing.reindex import Reindexer
from bot.settings import Settings
from knowledge.embed import static_embedder
from knowledge.evaluation import evaluate, load_questions
from knowledge.library import Library
from knowledge.report import BuildReport
from tests.bench_retrieval import BASE_URL, BYTES, ours
from tests.fakes.slack import FakeSlack

# About as many chunks as Prefect's documentation has, and as many as a large company's wiki.
CHUNKS, MANY_CHUNKS = 7_600, 200_000
SECTIONS, SENTENCES = 12, 9
# Characters of what is hardly a sentence, and words of what is a whole list of them.
SHORT, MAX_WORDS = 60, 25
# How many made-up words there are, the first ones far more often than the last, as in any language.
MADE_UP_WORDS = 200_000
SYLLABLES = (
    "ba",
    "cre",
    "dor",
    "fu",
    "gli",
    "ha",
    "jo",
    "ker",
    "lum",
    "mi",
    "no",
    "pra",
    "qui",
    "ros",
    "tu",
    "vex",
)
OWN_WORDS = 12
GOLDEN = Path(knowledge.__file__).with_name("golden.jsonl")
GUIDE = Path(knowledge.__file__).with_name("field_guide")
WAYS = {"bm25": "BM25 alone", "dense": "dense alone", "chroma": "Chroma's default"}
WAY_WITHIN_S = 1800
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
    parser.add_argument("--questions", type=Path, default=GOLDEN, help="a JSON Lines file")
    parser.add_argument(
        "--chunks", type=int, default=MANY_CHUNKS, help="of the large made-up corpus; 0: none"
    )
    parser.add_argument("--only-large", action="store_true", help="nothing but the large corpus")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ask-marvin-bench-") as folder:
        root = Path(folder)
        if not options.only_large:
            docs = options.docs or made_up(root / "docs", CHUNKS)
            asyncio.run(measure(configure(root / "usual", docs.resolve()), options))
        if options.chunks:
            docs = made_up(root / "many", options.chunks)
            asyncio.run(measure_large(configure(root / "large", docs)))


def configure(root: Path, docs: Path) -> Settings:
    root.mkdir()
    sources = root / "sources.toml"
    source = {"name": "docs", "kind": "files", "path": str(docs), "base_url": BASE_URL, "max_pages": 100_000}
    sources.write_text(
        "[[source]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in source.items())
    )
    return Settings.from_env({"ASK_MARVIN_HOME": str(root / "home"), "ASK_MARVIN_SOURCES": str(sources)})


async def measure(settings: Settings, options: argparse.Namespace) -> None:
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
    if options.docs:
        compare(settings, options, report, child_peak)
    await serve(settings)


async def measure_large(settings: Settings) -> None:
    """The same with a corpus that is as large as one machine may have to bear."""
    report, child_peak = await with_peak(lambda: reindex(settings, full=True))
    tell("large: full index", f"{report.chunks} chunks", f"{report.seconds:.0f} s", "")
    tell("large: its process", "peak resident memory", f"{child_peak:.0f} MB", "")
    size = sum(file.stat().st_size for file in settings.index_folder.rglob("*") if file.is_file())
    tell("large: on disk", "", f"{size / BYTES**2:.0f} MB", "")
    search(settings)
    tell("large: this process", "resident memory with the index", f"{resident(os.getpid()):.0f} MB", "")


def compare(settings: Settings, options: argparse.Namespace, report: BuildReport, peak: float) -> None:
    """Quality, latency, index time and memory of this project and of what might be set up instead."""
    library, search_ours = ours(settings.index_folder)
    scores = evaluate(search_ours, load_questions(options.questions)).model_dump(by_alias=True)
    library.close()
    print(f"\n{'':18}  hit@1  hit@5    MRR  median     p95    index    memory")
    tell_way("ask-marvin", {"seconds": report.seconds, "memory": peak, "scores": scores})
    for way, name in WAYS.items():
        tell_way(name, run_way(way, options))
    print()


def run_way(way: str, options: argparse.Namespace) -> dict[str, Any] | str:
    """Measure it in a process of its own; gives why it cannot be had where it cannot."""
    command = [sys.executable, "-m", "tests.bench_retrieval", way]
    command += ["--docs", str(options.docs), "--questions", str(options.questions)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAY_WITHIN_S, check=False)
    if done.returncode:
        return done.stderr.strip().rpartition("\n")[2]
    measured: dict[str, Any] = json.loads(done.stdout.rpartition("\n")[2])
    return measured


def tell_way(name: str, measured: dict[str, Any] | str) -> None:
    if isinstance(measured, str):
        print(f"{name:18}  cannot be measured here: {measured[:90]}", flush=True)
        return
    scores = measured["scores"]
    shares = f"{scores['hit@1']:.3f}  {scores['hit@5']:.3f}  {scores['mrr']:.3f}"
    times = f"{scores['latency_ms']['p50']:4.1f} ms {scores['latency_ms']['p95']:4.1f} ms"
    print(
        f"{name:18}  {shares} {times} {measured['seconds']:6.1f} s {measured['memory']:6.0f} MB", flush=True
    )


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


def made_up(folder: Path, chunks: int) -> Path:
    """Pages of about so many chunks: sentences of one page of the field guide, half of the words made up.

    Each page has a vocabulary of its own, out of words that are as unevenly frequent as real ones: without,
    its chunks would be all alike, and searching them would cost what it never costs in earnest.
    """
    folder.mkdir()
    chance = random.Random(0)
    texts = [page.read_text() for page in sorted(GUIDE.glob("*.md"))]
    guide = [[s.split()[:MAX_WORDS] for s in text.split(". ") if len(s) > SHORT] for text in texts]
    for page in range(-(-chunks // SECTIONS)):
        topic = chance.choice(guide)
        own = [
            f"{chance.choice(SYLLABLES)}{int(MADE_UP_WORDS ** chance.random()):x}" for _ in range(OWN_WORDS)
        ]
        sections = [
            f"## {' '.join(mixed(chance.choice(topic)[:5], own, chance))}\n\n"
            + ". ".join(" ".join(mixed(chance.choice(topic), own, chance)) for _ in range(SENTENCES))
            for _ in range(SECTIONS)
        ]
        part = folder / f"{page // 1_000}"
        part.mkdir(exist_ok=True)
        (part / f"page-{page}.md").write_text(f"# Page {page}\n\n" + "\n\n".join(sections))
    return folder


def mixed(sentence: list[str], own: list[str], chance: random.Random) -> list[str]:
    return [
        chance.choice(own) if number % 2 else word.strip("#`*|[]()") for number, word in enumerate(sentence)
    ]


def tell(what: str, detail: str, figure: str, wanted: str) -> None:
    print(f"{what:22} {detail:36} {figure:>10}  {wanted}", flush=True)


if __name__ == "__main__":
    main()
