"""What each command of the command line does: build what it needs, use it, print."""

import argparse
import asyncio
import secrets
from typing import Any

from rich.console import Console
from rich.table import Table

from bot.app import App, build, make_library
from bot.cards.decided import Decided
from bot.cli import EXIT_INTERRUPTED, EXIT_RUN_FAILED, exit_status, print_json, read_question
from bot.events import Answer, Done
from bot.indexing.progress import FIRST_TIME, show_build
from bot.indexing.reindex import Reindexer, open_or_build
from bot.material import read_material
from bot.picture_files import picture_folder, save
from bot.question import Question
from bot.retrieval import DOCS_TOOLS
from bot.settings import Settings
from bot.slack.manifest import manifest
from bot.terminal import Terminal
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from knowledge.search import MAX_TOP
from tools.toolbox import ToolFailure


async def ask(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    question = read_question(options.question)
    material = read_material(options.question)
    async with build(settings, environ) as app:
        terminal = Terminal(app, _new_conversation())
        await terminal.open_index()
        if options.json:
            decided = Decided(app, confirm=options.yes, wait=options.wait)
            asked = Question(question, app.local, _new_conversation(), material=material)
            print_json(await _answer_document(app, asked, decided))
            return 0 if decided.all_well else EXIT_RUN_FAILED
        answer = await terminal.ask(question, material, confirm=options.yes or None, wait=options.wait)
    if terminal.was_interrupted:
        return EXIT_INTERRUPTED
    if answer.failure:
        return exit_status(_expected(answer.failure))
    return 0 if terminal.all_well or not options.wait else EXIT_RUN_FAILED


async def chat(_options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    async with build(settings, environ) as app:
        terminal = Terminal(app, _new_conversation())
        await terminal.open_index()
        await terminal.chat()
    return 0


async def search(options: argparse.Namespace, settings: Settings, _environ: dict[str, str]) -> int:
    if not 1 <= options.top <= MAX_TOP:
        raise BadInput(f"--top has to be from 1 to {MAX_TOP}.")
    library = make_library(settings)
    try:
        await show_build(open_or_build(library, Reindexer(settings)), Console(stderr=True), note=FIRST_TIME)
        passages = await asyncio.to_thread(library.search, options.question, options.top)
    finally:
        library.close()
    if options.json:
        print_json([passage.model_dump(mode="json") for passage in passages])
        return 0
    console = Console(highlight=False)
    for passage in passages:
        heading = f" › {passage.heading.replace(' > ', ' › ')}" if passage.heading else ""
        console.print(
            f"{passage.rank:>2}. {passage.title}{heading}", markup=False, style="bold", soft_wrap=True
        )
        console.print(f"    {passage.url}", markup=False, soft_wrap=True)
        console.print(f"    {' '.join(passage.text.split())[:200]}", markup=False, soft_wrap=True)
    return 0


async def tools(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    async with build(settings, environ) as app:
        if options.json:
            print_json(
                [
                    {
                        "name": t.name,
                        "writes": t.writes,
                        "description": t.description,
                        "parameters": t.parameters,
                    }
                    for t in app.toolbox.tools.values()
                ]
            )
            return 0
        table = Table("tool", "what it does", box=None)
        for t in app.toolbox.tools.values():
            table.add_row(f"{t.name}{' (card)' if t.writes else ''}", t.description.split("\n")[0])
        Console(highlight=False).print(table)
    return 0


async def tool(options: argparse.Namespace, settings: Settings, environ: dict[str, str]) -> int:
    async with build(settings, environ) as app:
        workspace = options.workspace
        toolbox = app.workspaces.get(workspace).toolbox if workspace else app.toolbox
        found = toolbox.tools.get(options.name)
        if found and found.writes:
            raise Refused(
                f"{options.name} changes things, so it needs a card that a person confirms.",
                "Use it in `ask-marvin chat`.",
            )
        if options.name in DOCS_TOOLS:
            await show_build(app.open_index(), Console(stderr=True), note=FIRST_TIME)
        outcome = await toolbox.call(options.name, options.arguments)
    if outcome.error:
        raise _expected(outcome.error)
    print_json(outcome.data)
    return 0


async def print_manifest(options: argparse.Namespace, _settings: Settings, _environ: dict[str, str]) -> int:
    print_json(manifest(http_url=options.http, agent=options.agent))
    return 0


async def _answer_document(app: App, question: Question, decided: Decided) -> dict[str, Any]:
    async for event in app.agent.answer(question):
        if isinstance(event, Done):
            if event.answer.failure:
                raise _expected(event.answer.failure)
            actions = [await decided.action(card) for card in event.answer.cards]
            return {**_document(event.answer, actions), "pictures": _saved(event.answer, app.settings)}
    raise AssertionError("the agent ended without Done")


def _document(answer: Answer, actions: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "answer": answer.text,
        "citations": [
            {"n": c.n, "title": c.title, "url": c.url, "source": c.source} for c in answer.citations
        ],
        "offers": [{"label": offer.label, "command": offer.command} for offer in answer.offers],
        "tool_calls": [{"name": c.name, "args": c.args, "ok": c.ok, "ms": c.ms} for c in answer.tool_calls],
        "actions": actions,
        # A typed command is no third kind here: what matters to a reader is whether a model worded it.
        "mode": "llm" if answer.mode == "llm" else "extractive",
        "abstained": answer.abstained,
        "timings": answer.timings,
        "usage": answer.usage,
    }


def _saved(answer: Answer, settings: Settings) -> list[dict[str, str]]:
    folder = picture_folder(settings)
    return [
        {"title": picture.title, "alt_text": picture.alt_text, "path": str(save(picture, folder))}
        for picture in answer.pictures
    ]


def _expected(failure: ToolFailure) -> ExpectedError:
    kinds: dict[str, type[ExpectedError]] = {
        "refused": Refused,
        "busy": Refused,
        "unreachable": Unreachable,
    }
    kind = kinds.get(failure.code, BadInput)
    error = kind(failure.message, failure.fix)
    error.code = failure.code
    return error


def _new_conversation() -> str:
    return f"local:{secrets.token_hex(8)}"
