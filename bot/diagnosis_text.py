"""Diagnoses as Markdown: the verdict first, then each cause with its proof and what to do about it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.durations import lasting
from bot.events import Offer
from bot.grammar import parse
from bot.tables import MAX_SENTENCE, code, link, plain, sentence

MAX_EVIDENCE = 6
MAX_SAMPLE = 5
MAX_OFFERS = 4
# A name or a state may be told twice, a sentence not.
MAX_TWICE = 30


def run_diagnosis(data: Mapping[str, Any]) -> str:
    """One run, or one deployment."""
    parts = [f"**{_subject(data)}** {sentence(_verdict(data))}"]
    if note := data.get("note"):
        parts.append(f"_{sentence(note)}_")
    parts += _causes(data["causes"], _logged(data))
    if failure := data.get("failure"):
        parts += _failure(failure)
    if hints := data.get("worth_knowing"):
        parts.append("**Worth knowing**\n" + "\n".join(f"- {sentence(text)}" for text in hints))
    return "\n\n".join([*parts, *_checked(data)])


def late_diagnosis(data: Mapping[str, Any]) -> str:
    """Everything that is late or stuck, by cause."""
    # The causes stand below it in full.
    verdict = data["verdict"].split(". ")[0].rstrip(".") if data["groups"] else data["verdict"].rstrip(".")
    parts = [f"**{sentence(verdict)}.**"]
    for number, group in enumerate(data["groups"], 1):
        parts.append(_group(number, group))
    if data["truncated"]:
        parts.append(f"_There is more than is shown here. Looked at: {sentence(data['looked_at'])}._")
    return "\n\n".join([*parts, *_checked(data)])


def offers_of(data: Mapping[str, Any]) -> list[Offer]:
    """What a reader of this diagnosis can do about it, the most useful first."""
    causes = [*data.get("causes", ()), *(group["cause"] for group in data.get("groups", ()))]
    actions = [cause["action"] for cause in causes if cause.get("action")]
    # A name that no command takes would make the button ask a question, in the words of who gave the name.
    typed = [action for action in actions if parse(action["command"])]
    offers = [Offer(action["label"], action["command"]) for action in typed]
    return list({offer.command: offer for offer in offers}.values())[:MAX_OFFERS]


def _verdict(data: Mapping[str, Any]) -> str:
    """As far as it says more than the causes, which stand below it in full."""
    first = data["causes"][0]["summary"] if data["causes"] else ""
    before, found, _ = data["verdict"].partition(first) if first else ("", "", "")
    before = before.strip().removesuffix("Most likely:").strip()
    verdict = before if found and before else str(data["verdict"])
    # The name stands in front of it already.
    return verdict.removeprefix(f"'{data['subject']}' ").removeprefix(f"{data['subject']} ")


def _subject(data: Mapping[str, Any]) -> str:
    return link(data["subject"], data.get("subject_url") or "")


def _causes(causes: Sequence[Mapping[str, Any]], logged: str) -> list[str]:
    if len(causes) == 1:
        return [_cause(causes[0], "", logged)]
    return [_cause(cause, f"{number}. ", logged) for number, cause in enumerate(causes, 1)]


def _cause(cause: Mapping[str, Any], number: str, logged: str) -> str:
    """`logged` is what stands below it of the log; no sentence is told twice."""
    likely = " _(likely)_" if cause["certainty"] == "likely" else ""
    lines = [f"{number}{sentence(cause['summary'])}{likely}", f"**To mend it**: {sentence(cause['fix'])}"]
    told = f"{cause['summary']}\n{logged}"
    evidence = [item for item in cause["evidence"] if not _is_told(item["value"], told)]
    lines += [_evidence(item) for item in evidence[:MAX_EVIDENCE]]
    return "\n".join([lines[0], "", lines[1], "", *lines[2:]]).rstrip()


def _is_told(value: str, told: str) -> bool:
    return len(value) > MAX_TWICE and value.rstrip(".") in told


def _logged(data: Mapping[str, Any]) -> str:
    lines = (data.get("failure") or {}).get("last_lines") or ()
    return "\n".join(line["message"] for line in lines)


def _evidence(item: Mapping[str, Any]) -> str:
    source = link(item["source"], item["url"]) if item.get("url") else plain(item["source"], MAX_SENTENCE)
    return f"- {code(item['field'])} is {code(item['value'], MAX_SENTENCE)} ({source})"


def _failure(failure: Mapping[str, Any]) -> list[str]:
    """What the cause does not say already: the line of code, and what was logged before it."""
    parts = []
    frame = (failure.get("error") or {}).get("user_frame") or {}
    if frame.get("source"):
        place = code(f"{frame['file']}:{frame['line']}", MAX_SENTENCE)
        parts.append(f"In your code, {place}: {code(frame['source'], MAX_SENTENCE)}")
    if lines := failure.get("last_lines"):
        text = "\n".join(f"{line['level']:<8} {line['message']}" for line in lines).replace("```", "ˋˋˋ")
        parts.append(f"What it logged last:\n\n```\n{text}\n```")
    return parts


def _group(number: int, group: Mapping[str, Any]) -> str:
    """The cause, then the way out and whom it holds up, each in a line of its own."""
    cause, head = group["cause"], f"{number}. "
    lines = [f"**To mend it**: {sentence(cause['fix'])}"]
    if group["sample"]:
        runs = [link(run["name"], run["url"]) for run in group["sample"]]
        oldest = group.get("oldest_late_seconds")
        which = "the oldest " if group["runs_count"] > 1 else ""
        late = f", {which}{lasting(oldest)} late" if oldest else ""
        lines.append(f"**{_counted(group['runs_count'], 'run')}**{late}: {_first(runs, group['runs_count'])}")
    if any(name not in cause["summary"] for name in group["deployments"]):
        count = group["deployments_count"]
        names = [code(name) for name in group["deployments"]]
        lines.append(f"**{_counted(count, 'deployment')}**: {_first(names, count)}")
    lines += [f"Then also: {sentence(also['summary'])}" for also in group["also"]]
    indent = " " * len(head)
    return "\n".join([f"{head}{sentence(cause['summary'])}", *(f"{indent}- {line}" for line in lines)])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _first(names: Sequence[str], count: int) -> str:
    shown = names[:MAX_SAMPLE]
    more = count - len(shown)
    return f"{', '.join(shown)}{f' and {more} more' if more > 0 else ''}"


def _checked(data: Mapping[str, Any]) -> list[str]:
    lines = []
    if data["fine"]:
        lines.append(f"_Checked and fine_: {_all(data['fine'])}.")
    if data["could_not_look"]:
        lines.append(f"⚠️ _Could not look at_: {_all(data['could_not_look'])}.")
    return lines


def _all(texts: Sequence[str]) -> str:
    return "; ".join(plain(text, MAX_SENTENCE) for text in texts)
