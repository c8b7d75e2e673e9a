"""Tools as a model, a typed command or the terminal calls them: by name and with JSON."""

import asyncio
import difflib
import inspect
import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from knowledge.errors import ExpectedError, Unreachable
from tools.errors import Ambiguous
from tools.proposal import Detail, Fact, Proposal, Receipt
from tools.redact import redact, redact_data

# About 6,000 tokens: several results fit beside each other in any current model's window.
MAX_RESULT_CHARS = 24_000
# A tool makes at most about a dozen calls; one that needs longer than this has a server that hangs.
TOOL_TIMEOUT = 60.0
WAITING = "Nothing has been done yet: a card shows this to the person, who confirms or declines."


class Action(Protocol):
    """The two halves of a writing tool that run after a person has confirmed."""

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed (or NotFound) when the live state is not the one that was confirmed."""

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:
        """Does it. `key` is the same at every try of one confirmation; `actor` is who confirmed."""


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing that can be looked up or proposed, made from a bound method by `tool`."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments."""
    writes: bool
    run: Callable[..., Awaitable[BaseModel]]
    arguments: type[BaseModel]
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class ToolFailure:
    code: str
    message: str
    fix: str = ""
    choices: tuple[str, ...] = ()
    """What to choose from, when several things matched."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call; everything in it but `proposal.arguments` is free of known secrets."""

    ok: bool
    name: str
    arguments: dict[str, Any]
    text: str
    """For the model: JSON, cut at the limit with a note that says how to ask for less."""
    data: Any = None
    """The whole result as JSON-able data; None when it failed."""
    error: ToolFailure | None = None
    proposal: Proposal | None = None
    """For a writing tool: what a card has to show."""
    links: frozenset[str] = frozenset()
    """Addresses that the tool built itself; any other address in a result is just text."""


def tool(
    method: Callable[..., Awaitable[BaseModel]], *, writes: bool = False, action: Action | None = None
) -> Tool:
    """A tool out of a bound method: its name, docstring and annotated signature say everything."""
    name = method.__name__
    arguments = _arguments_model(method)
    return Tool(
        name=name,
        description=inspect.cleandoc(method.__doc__ or ""),
        parameters=_simplified(arguments.model_json_schema()),
        writes=writes or action is not None,
        run=method,
        arguments=arguments,
        action=action,
    )


def _arguments_model(method: Callable[..., Awaitable[BaseModel]]) -> type[BaseModel]:
    hints = get_type_hints(method, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(method).parameters.items()
    }
    config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    return create_model(f"{method.__name__}_arguments", __config__=config, **fields)


def _simplified(schema: Any) -> Any:
    """Without the titles that pydantic adds, and `x or null, null if left out` as an optional x."""
    if isinstance(schema, list):
        return [_simplified(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1 and "default" in schema and schema["default"] is None:
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return _simplified({**kinds[0], **rest})
    return {
        key: {name: _simplified(field) for name, field in value.items()}
        if key == "properties"
        else _simplified(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


class Toolbox:
    """All tools by name."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self.tools = {tool.name: tool for tool in tools}

    def schemas(self, only: Collection[str] | None = None) -> list[dict[str, Any]]:
        """OpenAI function schemas, of all tools or of those named."""
        return [_function_schema(t) for t in self.tools.values() if only is None or t.name in only]

    async def call(
        self, name: str, arguments: str | dict[str, Any], *, max_chars: int = MAX_RESULT_CHARS
    ) -> ToolOutcome:
        """Runs a tool. What a caller can mend comes back as an outcome; only bugs are raised."""
        found = self.tools.get(name)
        if found is None:
            return _failed(name, {}, self._unknown(name))
        given = _parse(arguments)
        if isinstance(given, ToolFailure):
            return _failed(name, {}, given)
        try:
            checked = found.arguments.model_validate(_without_nulls(given, found))
        except ValidationError as error:
            return _failed(name, given, _bad_arguments(found, error))
        return await _run(found, given, checked, max_chars)

    async def recheck(self, proposal: Proposal) -> None:
        """Raises Changed when the live state is not the one that the proposal was made for."""
        action = self.tools[proposal.action].action
        if action is not None:
            await action.recheck(proposal)

    async def perform(self, proposal: Proposal, *, key: str, actor: str) -> Receipt:
        """Carries out a confirmed proposal, unless it is about the knowledge base: that is not done here."""
        action = self.tools[proposal.action].action
        if action is None:
            raise LookupError(f"{proposal.action} is carried out by its caller")
        return _masked(await action.perform(proposal, key=key, actor=actor))

    def _unknown(self, name: str) -> ToolFailure:
        near = difflib.get_close_matches(name, self.tools, n=3)
        return ToolFailure(
            "unknown_tool",
            f"There is no tool {name!r}.",
            f"There {'are' if len(near) > 1 else 'is'} {', '.join(near or self.tools)}.",
        )


def _function_schema(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _parse(arguments: str | dict[str, Any]) -> dict[str, Any] | ToolFailure:
    if isinstance(arguments, dict):
        return arguments
    try:
        # Models send an empty text for a tool without arguments.
        parsed = json.loads(arguments) if arguments.strip() else {}
    except ValueError as error:
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        return ToolFailure("bad_json", f"The arguments are not valid JSON{where}.", "Send one JSON object.")
    if not isinstance(parsed, dict):
        return ToolFailure("bad_json", "The arguments are not a JSON object.", 'Send {"name": value, …}.')
    return parsed


def _without_nulls(given: dict[str, Any], tool: Tool) -> dict[str, Any]:
    """Some models send null for everything that they leave out; a default stands for it then."""
    optional = {name for name, field in tool.arguments.model_fields.items() if not field.is_required()}
    return {key: value for key, value in given.items() if value is not None or key not in optional}


def _bad_arguments(tool: Tool, error: ValidationError) -> ToolFailure:
    problems = [
        f"`{'.'.join(map(str, problem['loc'])) or 'arguments'}`: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    names = ", ".join(tool.arguments.model_fields) or "none"
    return ToolFailure(
        "bad_arguments", f"{tool.name}: {'; '.join(problems)}.", f"Its parameters: {names}. Call it again."
    )


async def _run(tool: Tool, given: dict[str, Any], checked: BaseModel, max_chars: int) -> ToolOutcome:
    values = {name: getattr(checked, name) for name in tool.arguments.model_fields}
    try:
        async with asyncio.timeout(TOOL_TIMEOUT):
            result = await tool.run(**values)
    except TimeoutError:
        late = Unreachable(
            f"{tool.name} took longer than {TOOL_TIMEOUT:.0f} s.", "Try again, or ask for less."
        )
        return _failed(tool.name, given, _failure(late))
    except ExpectedError as error:
        return _failed(tool.name, given, _failure(error))
    if isinstance(result, Proposal):
        return _proposed(tool, given, result)
    data = redact_data(result.model_dump(mode="json", exclude_none=True))
    return ToolOutcome(
        ok=True,
        name=tool.name,
        arguments=redact_data(given),
        text=_bounded(_compact(data), tool, max_chars),
        data=data,
        links=frozenset(_links(result)),
    )


def _proposed(tool: Tool, given: dict[str, Any], proposal: Proposal) -> ToolOutcome:
    shown = masked_proposal(proposal)
    data = {**shown.model_dump(mode="json", include={"action", "title", "target", "facts"}), "note": WAITING}
    return ToolOutcome(
        ok=True,
        name=tool.name,
        arguments=redact_data(given),
        text=_compact(data),
        data=data,
        proposal=shown,
        links=frozenset({shown.target_url} - {""}),
    )


def masked_proposal(proposal: Proposal) -> Proposal:
    """The same without known secrets in what people see; the arguments stay exact."""
    # A label can be a run's name, which is as free as any text.
    facts = tuple(Fact(label=redact(fact.label), value=redact(fact.value)) for fact in proposal.facts)
    told = {"title": redact(proposal.title), "target": redact(proposal.target), "facts": facts}
    return proposal.model_copy(update=told)


def _masked(receipt: Receipt) -> Receipt:
    details = tuple(_masked_detail(each) for each in receipt.details)
    undo = masked_proposal(receipt.undo) if receipt.undo else None
    return receipt.model_copy(update={"text": redact(receipt.text), "details": details, "undo": undo})


def _masked_detail(detail: Detail) -> Detail:
    links = tuple(link.model_copy(update={"title": redact(link.title)}) for link in detail.links)
    return detail.model_copy(update={"text": redact(detail.text), "links": links})


def _failure(error: ExpectedError) -> ToolFailure:
    choices = error.choices if isinstance(error, Ambiguous) else ()
    shown = tuple(redact(choice) for choice in choices)
    return ToolFailure(error.code, redact(error.message), redact(error.fix), shown)


def _failed(name: str, given: dict[str, Any], failure: ToolFailure) -> ToolOutcome:
    said = {"code": failure.code, "message": failure.message, "fix": failure.fix}
    arguments = redact_data(given)
    return ToolOutcome(
        ok=False, name=name, arguments=arguments, text=_compact({"error": said}), error=failure
    )


def _compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _bounded(text: str, tool: Tool, max_chars: int) -> str:
    if len(text) <= max_chars:
        return text
    names = ", ".join(tool.arguments.model_fields)
    how = f"call {tool.name} again with narrower {names}" if names else "use a more specific tool"
    note = f"… [cut at {max_chars} of {len(text)} characters; for the rest {how}]"
    return text[: max(0, max_chars - len(note))] + note


def _links(value: Any) -> Iterator[str]:
    """The addresses in typed link fields. Free-form dicts are not entered: users fill them."""
    if isinstance(value, BaseModel):
        for name, item in value:
            if isinstance(item, str) and item and (name == "url" or name.endswith("_url")):
                yield item
            yield from _links(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _links(item)
