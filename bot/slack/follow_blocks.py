"""Followed runs in Slack: the lines below a card that are kept current, and the messages that notify."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.cards.table import Card
from bot.durations import lasting
from bot.events import Offer
from bot.follow.followup import Explained
from bot.follow.run_words import BAD, ICONS, Tasks, cancelled_in_words, counted, state_in_words
from bot.follow.watch import CANCEL, Away
from bot.follow.watch_table import Ending, Notice, Watch, WatchedRun
from bot.slack.blocks import Block, Message, context, offer_buttons
from bot.slack.mrkdwn import escape, link, shorten
from tools.links import Links

NAME_CHARACTERS = 150
OF_CHARACTERS = 500
MESSAGE_CHARACTERS = 600
TOLD_CHARACTERS = 2_900
# What is left of a section's 3,000 is for times, which get longer.
NOTICE_CHARACTERS = 2_500
TIMES_SHOWN = 6
# Of a card with many runs: those that went wrong first, then those that have not ended.
RUNS_NAMED = 5
FOLLOWED = "I follow it to its end and keep this message up to date."
# Said in place of following on; the runs are linked above.
LET_GO: dict[Ending, str] = {
    "gave_up": "I have stopped following it: a day has gone by since it was due.",
    "forgotten": "I have stopped following it: it is too old for me to keep it. Prefect has the rest.",
}
HUSHED = "I have stopped following it here: this channel is for questions to the docs only, by now."
BROKE = "I have stopped following it: something broke on my side, and the log has it as `{reference}`."

_CODE_OR_TIME = re.compile(r"`[^`\n]*`|\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)\b")

NEWS: dict[Notice, str] = {
    "late": "has not started, {lasting} after its time",
    "pending": "has been {state} for {lasting} and does not run yet",
    "paused": "is {state} and waits for somebody to resume it",
    "stopping": "has been {state} for {lasting} and has not stopped",
}


@dataclass(frozen=True, slots=True)
class Followed:
    """What the lines below a card are made from."""

    watch: Watch
    links: Links
    at: datetime
    tasks: Tasks | None = None
    away: Away | None = None
    deployment: str = ""
    """`flow/deployment`, where all runs are of one; for messages that stand apart from the card."""

    @property
    def of(self) -> str:
        return f" of {shorten(escape(self.deployment), OF_CHARACTERS)}" if self.deployment else ""

    def named(self, run: WatchedRun) -> str:
        """Its name, linked and bold."""
        # Stars inside of bold text would end it.
        name = " ".join((run.name or run.id)[:NAME_CHARACTERS].split()).replace("*", "∗")
        return f"*{link(self.links.flow_run(run.id), name)}*"

    def state(self, run: WatchedRun) -> str:
        return state_in_words(run, self.at, clock=date_time, safe=_short)

    @property
    def is_live(self) -> bool:
        return not self.watch.is_over and not self.watch.ended


def followed_blocks(followed: Followed) -> list[Block]:
    """What has become of the card's runs, as far as is known."""
    runs = followed.watch.runs
    lines = _one(followed, runs[0]) if len(runs) == 1 else _many(followed, runs)
    text = {"type": "mrkdwn", "text": shorten("\n".join(lines), TOLD_CHARACTERS), "verbatim": True}
    below = _below(followed)
    return [{"type": "section", "text": text}, *([context(below)] if below else [])]


def icon(watch: Watch) -> str:
    """Of the run that needs a look most."""
    return ICONS.get(_by_urgency(watch.runs)[0].state_type, "▶️")


def digest(watch: Watch, away: Away | None) -> str:
    """Of all that a reader would call a change, so not of the time that goes by."""
    facts = [(run.id, run.state_type, run.state_name, run.due, run.message) for run in watch.runs]
    said = repr((facts, bool(away), LET_GO.get(watch.ended)))
    return hashlib.sha256(said.encode()).hexdigest()


def notice_message(
    followed: Followed, kind: Notice, run: WatchedRun, people: str, told: Explained, offers: Sequence[Offer]
) -> Message:
    """A new message, because an edit notifies nobody; `people` are the mentions."""
    headline = f"{_icon(kind, run)} {people} {_headline(followed, kind, run)}".replace("  ", " ")
    lines = [headline, *(shorten(_spoken(line), MESSAGE_CHARACTERS * 2) for line in told.lines)]
    if told.fix:
        lines.append(f"*To mend it*: {shorten(_spoken(told.fix), MESSAGE_CHARACTERS)}")
    text = _with_local_times(shorten("\n".join(lines), NOTICE_CHARACTERS))
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
    return Message(text, [section, *offer_buttons(offers)])


def passed_message(followed: Followed, people: str) -> Message:
    """One line that all went well."""
    watch = followed.watch
    run = watch.runs[0]
    told = (
        _summary(watch)
        if len(watch.runs) > 1
        else f"{followed.named(run)}{followed.of}: {followed.state(run)}"
    )
    text = f"{icon(watch)} {people} {told}."
    return Message(text, [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}])


def short_message(title: str, followed: Followed) -> Message:
    """What matters of a card where Slack does not take all of it."""
    text = f"*{shorten(escape(title), NAME_CHARACTERS).replace('*', '∗')}*"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
    return Message(f"{icon(followed.watch)} {text}", [section, *followed_blocks(followed)])


def let_go_message(card: Card, sentence: str) -> Message:
    """Of a card whose runs are not spoken of any more: what was done, by whom, and where to look."""
    url = card.outcome_url or card.proposal.target_url
    where = f" {link(url, 'Open in Prefect')}" if url else ""
    text = f"*{shorten(escape(card.proposal.title), 300).replace('*', '∗')}*\n{escape(sentence)}{where}"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}
    return Message(text, [section])


def _with_local_times(mrkdwn: str) -> str:
    """Each reader's own time in place of UTC; in code nothing is changed."""

    def shown(found: re.Match[str]) -> str:
        try:
            return date_time(datetime.fromisoformat(found[1])) if found[1] else found[0]
        except ValueError:
            return found[0]  # `0000-00-00T00:00:00Z`, as some databases have it.

    return _CODE_OR_TIME.sub(shown, mrkdwn, count=TIMES_SHOWN)


def date_time(at: datetime) -> str:
    """In the reader's own time zone, with the day: a run may be scheduled for next week."""
    fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def _one(followed: Followed, run: WatchedRun) -> list[str]:
    if not run.state_type:
        return [f"{ICONS['']} {FOLLOWED}"]
    tasks = f" · {followed.tasks}" if followed.tasks and followed.tasks.all else ""
    return [
        f"{ICONS.get(run.state_type, '▶️')} {followed.named(run)} · {followed.state(run)}{tasks}",
        *_why(run),
    ]


def _many(followed: Followed, runs: Sequence[WatchedRun]) -> list[str]:
    if not any(run.state_type for run in runs):
        return [f"{ICONS['']} {FOLLOWED}"]
    tasks = f" · {followed.tasks}" if followed.tasks and followed.tasks.all else ""
    lines = [f"{icon(followed.watch)} *{_summary(followed.watch)}*{tasks}"]
    worth_naming = [run for run in _by_urgency(runs) if run.state_type in BAD or not run.is_over]
    lines += [f"• {followed.named(run)} · {followed.state(run)}" for run in worth_naming[:RUNS_NAMED]]
    left = len(worth_naming) - RUNS_NAMED
    return [*lines, *([f"… and {left} more"] if left > 0 else [])]


def _summary(watch: Watch) -> str:
    """`12 of 30 runs cancelled, 18 still stopping`; `30 runs: 12 Completed, 18 Running`."""
    if watch.action == CANCEL:
        return cancelled_in_words(watch.runs)
    return f"{len(watch.runs)} runs: {counted(watch.runs, safe=_short)}"


def _why(run: WatchedRun) -> list[str]:
    """What the state itself says, where that tells more than its name."""
    is_telling = run.state_type in (*BAD, "CANCELLED", "PAUSED") or run.state_name == "AwaitingRetry"
    if not is_telling or not run.message:
        return []
    return [f"> {shorten(escape(' '.join(run.message.split())), MESSAGE_CHARACTERS)}"]


def _below(followed: Followed) -> str:
    if followed.watch.ended in LET_GO:
        return LET_GO[followed.watch.ended]
    if not followed.is_live:
        return ""
    if followed.away:
        why = shorten(escape(followed.away.why), MESSAGE_CHARACTERS)
        return f"⚠️ {why} Nothing newer is known since {to_the_second(followed.away.since)}; I keep trying."
    if not any(run.state_type for run in followed.watch.runs):
        return ""
    return f"as of {to_the_second(followed.at)}"


def to_the_second(at: datetime) -> str:
    fallback = at.astimezone(UTC).strftime("%H:%M:%S UTC")
    return f"<!date^{int(at.timestamp())}^{{time_secs}}|{fallback}>"


def _by_urgency(runs: Sequence[WatchedRun]) -> list[WatchedRun]:
    def rank(run: WatchedRun) -> int:
        return 0 if run.state_type in BAD else 2 if run.is_over else 1

    return sorted(runs, key=rank)


def _icon(kind: Notice, run: WatchedRun) -> str:
    return "⏰" if kind in ("late", "pending") else ICONS.get(run.state_type, "▶️")


def _headline(followed: Followed, kind: Notice, run: WatchedRun) -> str:
    name = f"{followed.named(run)}{followed.of}"
    if kind == "end":
        return f"{_others(followed)}{name}: {followed.state(run)}."
    since = run.overdue(followed.at) if kind == "late" else run.in_state(followed.at)
    return f"{name} {NEWS[kind].format(state=escape(run.state_name), lasting=lasting(since))}."


def _others(followed: Followed) -> str:
    runs = followed.watch.runs
    return f"{_summary(followed.watch)}. " if len(runs) > 1 else ""


def _short(name: str) -> str:
    return shorten(escape(name), NAME_CHARACTERS)


def _spoken(text: str) -> str:
    """A sentence that names things of other people, on one line; code in backticks stays code."""
    return escape(" ".join(text.split()))
