"""The command line: parses, builds, prints. Every command's work is elsewhere."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from bot.log import log_to_stderr, tell_bug
from bot.settings import Settings, read_environ
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable

EXIT_BUG, EXIT_BAD_INPUT, EXIT_UNREACHABLE, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 3, 4, 130
# A run that was begun and waited for did not come to the end that was wanted.
EXIT_RUN_FAILED = 5
MAX_QUESTION_BYTES = 1_000_000

Command = Callable[[argparse.Namespace, Settings, dict[str, str]], Coroutine[Any, Any, int]]


COMMANDS = {
    "ask": "bot.cli_commands:ask",
    "audit": "bot.audit.command:audit",
    "chat": "bot.cli_commands:chat",
    "demo": "bot.demo.tour:demo",
    "doctor": "bot.doctor:doctor",
    "eval abstention": "bot.evals.commands:abstention",
    "eval answers": "bot.evals.answers:answers",
    "eval retrieval": "bot.evals.commands:retrieval",
    "generations": "bot.indexing.commands:generations",
    "manifest": "bot.cli_commands:print_manifest",
    "reindex": "bot.indexing.commands:reindex",
    "rollback": "bot.indexing.commands:rollback",
    "search": "bot.cli_commands:search",
    "serve": "bot.slack.serve:serve",
    "tool": "bot.cli_commands:tool",
    "tools": "bot.cli_commands:tools",
}


class _Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that a wrong argument is told like every other mistake."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message[0].upper()}{message[1:]}.", f"See: {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    arguments = list(sys.argv[1:] if argv is None else argv)
    sys.excepthook = tell_bug
    sys.exit(run(arguments, read_environ(os.environ, Path.cwd())))


def run(arguments: Sequence[str], environ: dict[str, str]) -> int:
    """Run one command and give its exit status. Expected errors become one sentence, or JSON."""
    as_json = "--json" in arguments
    try:
        options = _parser().parse_args(arguments)
        settings = Settings.from_env(environ)
        # One answer is not to be mixed with the log of how it came about, unless asked for.
        wants_log = options.command == "serve" or "ASK_MARVIN_LOG_LEVEL" in environ
        log_to_stderr(settings.log_level if wants_log else "WARNING")
        name = " ".join(filter(None, (options.command, getattr(options, "part", ""))))
        return asyncio.run(_command(name)(options, settings, environ))
    except ExpectedError as error:
        return _tell(error, as_json=as_json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing more can be written, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BUG


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="ask-marvin", description="Answers questions about Prefect, and operates it.")
    parser.add_argument("--version", action="version", version=version("ask-marvin"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def add(name: str, help_text: str, *, takes_json: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_text, description=help_text)
        if takes_json:
            command.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        return command

    add("demo", "a real Prefect server with sample flows, and a conversation about it", takes_json=False)
    add("serve", "the Slack app", takes_json=False)
    add("chat", "a conversation in the terminal", takes_json=False)
    ask = add("ask", "one answer")
    ask.add_argument("question", nargs="?", help="the question; read from stdin when left out or -")
    ask.add_argument("--yes", action="store_true", help="confirm the cards that the question leads to")
    ask.add_argument(
        "--wait",
        action="store_true",
        help="wait for what that begins, 10 min at most; exit status 5 when it does not end well",
    )
    search = add("search", "the passages that fit a question best")
    search.add_argument("question")
    search.add_argument("--top", type=int, default=8, metavar="N", help="how many (1 to 50)")
    reindex = add("reindex", "bring the knowledge base up to date")
    reindex.add_argument("--source", metavar="NAME", help="only this source")
    reindex.add_argument("--full", action="store_true", help="fetch, cut and embed everything again")
    reindex.add_argument(
        "--force", action="store_true", help="make it live even if it finds less than before"
    )
    reindex.add_argument(
        "--deploy", action="store_true", help="make a Prefect deployment of it instead, for workers to run"
    )
    reindex.add_argument("--pool", metavar="NAME", help="with --deploy: the work pool")
    reindex.add_argument("--image", metavar="NAME", help="with --deploy: the image, for pools that run one")
    often = reindex.add_mutually_exclusive_group()
    often.add_argument("--every", metavar="TIME", help="with --deploy: how often, such as 30m, 6h or 1d")
    often.add_argument("--cron", metavar="CRON", help="with --deploy: when, such as '0 5 * * *' (UTC)")
    add("generations", "the indexes that are kept, and which of them is live")
    rollback = add("rollback", "make the index that was live before live again")
    rollback.add_argument("--to", type=int, metavar="N", help="that generation instead")
    _add_eval(commands)
    decided = add("audit", "who decided what, the newest first")
    decided.add_argument("--since", metavar="TIME", help="not older than that, such as 12h or 7d")
    decided.add_argument("--user", metavar="ID", help="by that person")
    decided.add_argument(
        "--about", metavar="TEXT", help="about a deployment, run or pool whose name holds that"
    )
    decided.add_argument(
        "--limit", type=int, default=20, metavar="N", help="how many (1 to 1000, default 20)"
    )
    add("tools", "the tools that the model and the commands use")
    tool = add("tool", "run one read tool and print its result as JSON")
    tool.add_argument("name")
    tool.add_argument(
        "arguments", nargs="?", default="{}", help='a JSON object such as {"deployment": "etl"}'
    )
    tool.add_argument("--workspace", metavar="NAME", help="on that Prefect workspace, not the default one")
    add("doctor", "check every setting and connection")
    manifest = add("manifest", "the Slack app's manifest, to paste when creating the app")
    manifest.add_argument(
        "--http", metavar="URL", help="the public address, for signed HTTP instead of Socket Mode"
    )
    manifest.add_argument(
        "--agent", action="store_true", help="declare an agent: irreversible, and guests are shut out"
    )
    return parser


def _add_eval(commands: "argparse._SubParsersAction[_Parser]") -> None:
    help_text = "how good it is, measured by questions"
    whole = commands.add_parser("eval", help=help_text, description=help_text)
    parts = whole.add_subparsers(dest="part", required=True, metavar="WHAT", parser_class=_Parser)

    def add(name: str, help_text: str) -> argparse.ArgumentParser:
        part = parts.add_parser(name, help=help_text, description=help_text)
        part.add_argument("--questions", required=True, metavar="FILE", help="a JSON Lines file")
        part.add_argument("--json", action="store_true", help="print one JSON document on stdout")
        return part

    add("retrieval", "how many questions find a page that answers them")
    abstention = add("abstention", "how well it is told which questions have no answer")
    abstention.add_argument(
        "--false-alarms",
        type=float,
        metavar="SHARE",
        help="of the answerable questions, at most (0.08)",
    )
    abstention.add_argument("--set", action="store_true", help="keep the threshold that this gives")
    answers = add("answers", "what answers say and cite, and whether repeated ones agree")
    answers.add_argument("--repeat", type=int, default=1, metavar="N", help="ask each so many times")
    answers.add_argument("--limit", type=int, metavar="N", help="only the first questions")


def _command(name: str) -> Command:
    """The command's function. Only its module is imported: `serve` must not wait for what the demo needs."""
    module, function = COMMANDS[name].split(":")
    found: Command = getattr(import_module(module), function)
    return found


def read_question(given: str | None) -> str:
    """The question from the argument or from stdin. Raises BadInput when there is none."""
    if given is None or given == "-":
        given = sys.stdin.read(MAX_QUESTION_BYTES) if not sys.stdin.isatty() or given == "-" else ""
    if not given.strip():
        raise BadInput("The question is empty.", 'Ask something: ask-marvin ask "What is a work pool?"')
    return given


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))  # noqa: T201


def _tell(error: ExpectedError, *, as_json: bool) -> int:
    if as_json:
        print_json({"error": {"code": error.code, "message": error.message, "fix": error.fix}})
    else:
        console = Console(stderr=True, highlight=False)
        console.print(f"ask-marvin: {error.message}", soft_wrap=True, markup=False)
        if error.fix:
            console.print(f"  → {error.fix}", soft_wrap=True, markup=False)
    return exit_status(error)


def exit_status(error: ExpectedError) -> int:
    match error:
        case BadInput():
            return EXIT_BAD_INPUT
        case Unreachable():
            return EXIT_UNREACHABLE
        case Refused():
            return EXIT_REFUSED
    return EXIT_BUG
