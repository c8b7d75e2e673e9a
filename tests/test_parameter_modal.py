"""The modal of a card's parameters: its views against Slack's limits, and the whole way through the fake."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.app import DATABASE_FILE, App
from bot.cards.table import Card
from bot.database import open_store, sqlite_url
from bot.slack.card_blocks import card_message
from bot.slack.incoming import card_value, shown_card
from bot.slack.parameter_modal import (
    MAX_FIELDS,
    Origin,
    errors_on_blocks,
    form_view,
    is_the_same,
    loading_view,
    message_view,
    submitted,
)
from tests.database import decisions
from tests.fakes.prefect_between import Between
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_views import check_view, inputs, state_of
from tests.fakes.slack_world import ADA, ADMIN, OWNER, Message
from tests.house import AppFactory
from tests.prefect_seed import Seed
from tests.serving import ANSWERED_WITHIN, answered, serving
from tests.test_parameter_form import NEEDED, VALUES
from tools.parameter_form import Filled, ParameterForm, parameter_form
from tools.proposal import Fact, Proposal

PROPOSAL = Proposal(
    action="trigger_run", title="Start a run of etl/nightly", target="etl/nightly", editable=True
)
CARD = Card("card-1", PROPOSAL, ADA, datetime(2026, 11, 23, tzinfo=UTC), team="T1", revision=2)
TRIES = 8
# A server that many write to at once refuses for a while, and is asked again.
DONE_WITHIN = 60.0
SMALL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "rows": {"type": "integer", "title": "rows", "position": 0, "minimum": 1},
        "region": {"enum": ["eu", "us"], "type": "string", "title": "region", "position": 1, "default": "eu"},
        "label": {"type": "string", "title": "label", "position": 2, "default": "x"},
    },
    "required": ["rows"],
}


def form_of(schema: dict[str, Any], *, defaults: dict[str, Any] | None = None, **given: Any) -> ParameterForm:
    return parameter_form(schema, defaults=defaults or {}, given=given)


def shown(form: ParameterForm) -> dict[str, Any]:
    """The form's view, as strict as Slack is."""
    view = form_view(form, CARD)
    check_view(view)
    return view


def filled_in(form: ParameterForm, touched: Mapping[str, Any]) -> Filled:
    view = shown(form)
    return submitted(form, {**view, "state": {"values": state_of(view, touched)}})


def element_of(spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The element of the only parameter."""
    (block,) = inputs(shown(form_of({"properties": {"x": spec}}, **more))).values()
    element: dict[str, Any] = block["element"]
    return element


@settings(max_examples=60, deadline=None)
@given(values=st.fixed_dictionaries({}, optional=VALUES))
def test_a_modal_that_nobody_touched_leaves_every_value_as_it_was(
    typed_schema: dict[str, Any], values: dict[str, Any]
) -> None:
    filled = filled_in(form_of(typed_schema, defaults=NEEDED, **values), {})
    assert (filled.values, filled.errors) == (values, {})


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("rows", "7", 7),
        ("share", "0.25", 0.25),
        ("dry", "true", True),
        ("region", "us", "us"),
        ("other", "null", None),
        ("mixed", "1", 1),
        ("level", "2", 2),
        ("modes", ["x", "y"], ["x", "y"]),
        ("modes", [], []),
        ("day", "2026-11-23", "2026-11-23"),
        ("when", 1_795_420_800, "2026-11-23T08:00:00+00:00"),
        ("due", "2026-11-23T08:00:00", "2026-11-23T08:00:00"),
        ("names", '["c"]', ["c"]),
        ("limit", "", None),
        ("pin", "4711", "4711"),
        ("text", "two\nlines", "two\nlines"),
    ],
)
def test_what_is_chosen_or_typed_becomes_the_value(
    typed_schema: dict[str, Any], name: str, typed: Any, value: Any
) -> None:
    filled = filled_in(form_of(typed_schema, defaults=NEEDED), {name: typed})
    assert (filled.values, filled.errors) == ({name: value}, {})


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({"type": "string"}, "plain_text_input"),
        ({"type": "integer"}, "number_input"),
        ({"type": "boolean"}, "radio_buttons"),
        ({"enum": ["a", "b"]}, "radio_buttons"),
        ({"enum": [f"choice {n}" for n in range(100)]}, "static_select"),
        ({"enum": [f"choice {n}" for n in range(101)]}, "plain_text_input"),
        ({"enum": ["a" * 76, "b"]}, "plain_text_input"),
        ({"enum": ["", "b"]}, "radio_buttons"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "multi_static_select"),
        ({"type": "string", "format": "date"}, "datepicker"),
        ({"type": "string", "format": "date-time"}, "datetimepicker"),
        ({"type": "object"}, "plain_text_input"),
        ({}, "plain_text_input"),
    ],
)
def test_each_kind_has_the_element_that_can_hold_it(spec: dict[str, Any], kind: str) -> None:
    assert element_of(spec)["type"] == kind


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        pytest.param({"type": "integer"}, 10**30, id="a number of too many digits"),
        pytest.param({"type": "number"}, 1e-9, id="a number with an exponent"),
        pytest.param({"enum": ["a", "b"], "type": "string"}, "c", id="no choice of the enum"),
        pytest.param({"type": "array", "items": {"enum": ["a"]}}, ["a", "a"], id="a choice twice"),
        pytest.param({"type": "string", "format": "date-time"}, "2026-01-02T03:04:05", id="no zone"),
        pytest.param({"type": "string", "format": "date-time"}, "2026-01-02T03:04:05Z", id="seconds"),
        pytest.param({"type": "string", "format": "date-time"}, "0001-01-01T00:00:00Z", id="long ago"),
        pytest.param({"type": "string", "format": "date"}, "tomorrow", id="no date"),
        pytest.param(
            {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "2026-01-02",
            id="to be emptied",
        ),
    ],
)
def test_a_value_that_its_element_cannot_show_is_edited_as_text(spec: dict[str, Any], value: Any) -> None:
    element = element_of(spec, x=value)
    assert element["type"] == "plain_text_input"
    assert element["initial_value"] == (value if isinstance(value, str) else json.dumps(value))


def test_a_time_with_a_zone_is_picked_and_stays_as_it_was_written() -> None:
    moment = {"type": "string", "format": "date-time", "default": "2026-01-01T00:00Z"}
    form = form_of({"properties": {"x": moment}}, x="2026-11-23T09:00+01:00")
    assert inputs(shown(form))["x"]["element"]["initial_date_time"] == 1_795_420_800
    assert filled_in(form, {}).values == {"x": "2026-11-23T09:00+01:00"}
    assert filled_in(form, {"x": 1_795_420_860}).values == {"x": "2026-11-23T08:01:00+00:00"}


@pytest.mark.parametrize("name", ["a:b c", "x" * 400, "🦄", "parameters", "a\nb", "<@U1> *x*", "value", ""])
def test_a_parameter_may_have_any_name(name: str) -> None:
    form = form_of({"properties": {name: {"type": "integer"}, "other": {"type": "integer"}}})
    view = shown(form)
    state = state_of(view, {next(iter(inputs(view))): "5"})
    assert submitted(form, {**view, "state": {"values": state}}).values == {name: 5}


def test_what_is_too_long_to_be_edited_stays_as_it_is() -> None:
    form = form_of({"properties": {"x": {"type": "string"}, "y": {"type": "integer"}}}, x="z" * 5_000)
    view = shown(form)
    assert list(inputs(view)) == ["y"]
    assert "*x* is 5,000 characters long" in json.dumps(view)
    assert filled_in(form, {"y": "1"}).values == {"x": "z" * 5_000, "y": 1}


def test_a_secret_is_never_in_the_view(typed_schema: dict[str, Any]) -> None:
    source = {"server": {"host": "db", "pin": "pin-4711"}}
    given = {"pin": "pin-4712", "api_key": "key-4713-abcdef", "source": source}
    form = form_of(typed_schema, defaults=NEEDED, **given)
    text = json.dumps(shown(form))
    assert not any(secret in text for secret in ("4711", "4712", "4713"))
    assert filled_in(form, {}).values == given


def test_more_parameters_than_a_modal_is_good_for_become_one_json_text() -> None:
    names = [f"p{number}" for number in range(MAX_FIELDS + 1)]
    form = form_of({"properties": {name: {"type": "integer"} for name in names}}, p3=3)
    view = shown(form)
    assert list(inputs(view)) == ["Parameters"]
    assert filled_in(form, {}).values == {"p3": 3}
    assert filled_in(form, {"Parameters": '{"p4": 4}'}).values == {"p4": 4}
    filled = filled_in(form, {"Parameters": '{"p4": "x", "q": 1}'})
    (told,) = errors_on_blocks(form, view, filled.errors).values()
    assert 'p4: "x" is not a whole number.' in told
    assert "q: There is no such parameter." in told


def test_a_view_that_would_be_too_large_becomes_one_json_text() -> None:
    choices = [f"{number:02} {'x' * 70}" for number in range(100)]
    form = form_of({"properties": {f"p{number}": {"enum": choices} for number in range(30)}})
    assert list(inputs(shown(form))) == ["Parameters"]


def test_where_even_one_text_is_too_long_the_modal_says_so() -> None:
    names = [f"p{number}" for number in range(MAX_FIELDS + 1)]
    form = form_of({"properties": {name: {"type": "string"} for name in names}}, p1="x" * 4_000)
    assert "too many parameters" in json.dumps(shown(form))


def test_each_problem_stands_at_its_field() -> None:
    form = form_of(SMALL, defaults={"rows": 1})
    view = shown(form)
    told = errors_on_blocks(form, view, {"label": "It is bad.", "": "All is bad.", "gone": "It is gone."})
    rows, _region, label = (block["block_id"] for block in inputs(view).values())
    assert told == {label: "It is bad.", rows: "All is bad. gone: It is gone."}


def test_the_form_of_a_deployment_that_was_changed_is_another_one() -> None:
    origin = Origin.model_validate_json(shown(form_of(SMALL))["private_metadata"])
    assert (origin.card, origin.revision, origin.team) == ("card-1", 2, "T1")
    other = {"properties": {**SMALL["properties"], "rows": {"type": "string"}}}
    assert is_the_same(form_of(SMALL, rows=4), origin)
    assert not is_the_same(form_of(other), origin)


def test_what_is_said_in_place_of_a_form_is_shown_as_it_is() -> None:
    check_view(loading_view())
    view = message_view("<@U1> *no*")
    check_view(view)
    assert view["blocks"][0]["text"]["text"] == "&lt;@U1&gt; *no*"


def test_an_open_card_of_a_run_with_parameters_has_three_buttons() -> None:
    def buttons(card: Card) -> list[tuple[str, str]]:
        return [(each["action_id"], each["value"]) for each in card_message(card).blocks[-1]["elements"]]

    plain = Card("card-1", PROPOSAL.model_copy(update={"editable": False}), ADA, CARD.expires_at)
    assert buttons(plain) == [("card_confirm", "card-1"), ("card_decline", "card-1")]
    names = ["card_confirm", "card_edit", "card_decline"]
    assert buttons(CARD) == [(name, "card-1:2") for name in names]
    assert shown_card(card_value("card-1", 2)) == ("card-1", 2)
    assert shown_card("card-1") == ("card-1", 0)


# -- the whole way


@pytest.fixture
async def deployment(seed: Seed) -> dict[str, Any]:
    return await seed.deployment(
        pool=await seed.pool(), parameter_openapi_schema=SMALL, parameters={"rows": 1}
    )


async def asked(slack: FakeSlack, text: str, *, user: str = ADMIN) -> Message:
    post = slack.mention(text, user=user)
    await slack.deliver(post.envelopes[0])
    return (await answered(slack, post.ts)).bot[-1]


async def edited(slack: FakeSlack, card: Message, *, user: str = ADMIN) -> dict[str, Any]:
    """The form that opens at a press on the card."""
    await slack.deliver(slack.press(card, "card_edit", user=user))
    return await slack.modal("Nothing starts yet")


async def saved(
    slack: FakeSlack, view: dict[str, Any], filled: Mapping[str, Any], *, user: str = ADMIN
) -> dict[str, str]:
    """Submitted, and again as often as it says that this machine was too slow for Slack's three seconds."""
    for _ in range(TRIES):
        errors = await slack.submits(view, filled, user=user)
        if "did not answer in time" not in str(errors):
            break
    return errors


async def says(slack: FakeSlack, card: Message, words: str) -> None:
    await slack.until(lambda: words in card.seen, timeout=DONE_WITHIN, why=f"{words!r}; {card.seen}")


async def decided(slack: FakeSlack, card: Message) -> None:
    def has_no_buttons() -> bool:
        return "card_confirm" not in [button["action_id"] for button in card.buttons]

    await slack.until(has_no_buttons, timeout=DONE_WITHIN, why="a decided card")


async def whispers(slack: FakeSlack, words: str) -> None:
    await slack.until(
        lambda: any(words in message.seen for message in slack.ephemeral),
        timeout=ANSWERED_WITHIN,
        why=f"{words!r}; {[message.seen for message in slack.ephemeral]}",
    )


async def decided_by(app: App) -> list[tuple[str, str]]:
    async with open_store(sqlite_url(app.settings.home / DATABASE_FILE)) as engine:
        return await decisions(engine)


async def runs_of(url: str, deployment: Mapping[str, Any]) -> list[dict[str, Any]]:
    wanted = {"deployments": {"id": {"any_": [deployment["id"]]}}}
    async with httpx.AsyncClient() as client:
        rows: list[dict[str, Any]] = (await client.post(f"{url}/flow_runs/filter", json=wanted)).json()
        return rows


async def test_parameters_are_edited_checked_at_the_field_and_confirmed(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url) as app:
        card = await asked(slack, f"run {deployment['full_name']} rows=2")
        view = await edited(slack, card)
        assert inputs(view)["rows"]["element"]["initial_value"] == "2"

        assert await saved(slack, view, {"rows": "0"}, user=ADMIN) == {"rows": "0 is less than 1."}
        assert await saved(slack, view, {"rows": "7", "region": "us"}) == {}
        assert not slack.views
        await says(slack, card, f"parameters changed by <@{ADMIN}>")
        assert "*Parameter rows*\n7\n" in card.seen
        assert "*Parameter region*\nus\n" in card.seen

        await slack.deliver(slack.press(card, "card_confirm", user=ADMIN))
        await decided(slack, card)
        said = await decided_by(app)
    (run,) = await runs_of(prefect_url, deployment)
    assert run["parameters"] == {"rows": 7, "region": "us"}
    assert said == [(ADMIN, decision) for decision in ("proposed", "revised", "confirmed", "done")]


async def test_whoever_confirms_what_has_been_changed_meanwhile_is_told_and_shown(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url):
        card = await asked(slack, f"run {deployment['full_name']}")
        on_the_screen = slack.press(card, "card_confirm", user=OWNER)
        assert await saved(slack, await edited(slack, card), {"rows": "7"}) == {}
        await says(slack, card, "parameters changed by")

        edits = card.edits
        await slack.deliver(on_the_screen)
        await whispers(slack, f"The parameters were changed by <@{ADMIN}> after this was shown to you")
        await slack.until(lambda: card.edits > edits, timeout=ANSWERED_WITHIN, why="the card shown again")
        assert await runs_of(prefect_url, deployment) == []

        await slack.deliver(slack.press(card, "card_confirm", user=OWNER))
        await decided(slack, card)
    runs = await runs_of(prefect_url, deployment)
    assert [run["parameters"] for run in runs] == [{"rows": 7}], card.seen


async def test_of_two_who_edit_at_once_the_second_is_told_and_loses_nothing(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url):
        card = await asked(slack, f"run {deployment['full_name']}")
        first = await edited(slack, card)
        press = slack.press(card, "card_edit", user=OWNER)
        await slack.deliver(press)
        await slack.until(
            lambda: (
                len(slack.views) == 2 and all("Nothing starts" in str(view) for view in slack.views.values())
            ),
            timeout=ANSWERED_WITHIN,
            why="two forms",
        )
        second = next(view for view in slack.views.values() if view["id"] != first["id"])
        assert await saved(slack, first, {"rows": "7"}) == {}
        errors = await saved(slack, second, {"rows": "8"}, user=OWNER)
        assert "Somebody has changed the parameters" in errors["rows"]
        assert list(slack.views) == [second["id"]]
        await says(slack, card, "*Parameter rows*\n7\n")


async def test_whoever_may_not_confirm_may_not_edit(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url) as app:
        card = await asked(slack, f"run {deployment['full_name']}")
        await slack.deliver(slack.press(card, "card_edit", user=ADA))
        view = await slack.modal("role operator")
        assert not inputs(view)
        assert (ADA, "refused") in await decided_by(app)


async def test_a_form_that_slack_does_not_open_in_time_is_replaced_by_what_to_type(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url):
        card = await asked(slack, f"run {deployment['full_name']}")
        press = slack.press(card, "card_edit", user=ADMIN)
        slack.skip(3.5)
        await slack.deliver(press)
        await whispers(slack, f"type it: `run {deployment['full_name']} NAME=VALUE`")
        again = slack.press(card, "card_edit", user=ADMIN)
        await slack.deliver(again)
        await slack.modal("Nothing starts yet")
        await slack.deliver(again)
        await whispers(slack, "exchanged_trigger_id")
    assert len(slack.views) == 1


async def test_a_card_that_was_decided_meanwhile_is_not_changed(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url):
        card = await asked(slack, f"run {deployment['full_name']}")
        late = slack.press(card, "card_edit", user=ADMIN)
        view = await edited(slack, card)
        await slack.deliver(slack.press(card, "card_decline", user=ADMIN))
        await says(slack, card, "Cancelled, nothing was done")
        errors = await saved(slack, view, {"rows": "7"})
        assert "This was cancelled before" in errors["rows"]
        del slack.views[view["id"]]
        await slack.deliver(late)
        await slack.modal("This was cancelled before")


async def test_a_deployment_that_was_changed_or_deleted_meanwhile_is_told(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, deployment: dict[str, Any], seed: Seed
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url):
        card = await asked(slack, f"run {deployment['full_name']}")
        view = await edited(slack, card)
        other = {"properties": {"day": {"type": "string", "position": 0}, **SMALL["properties"]}}
        await seed.patch(f"deployments/{deployment['id']}", {"parameter_openapi_schema": other})
        errors = await saved(slack, view, {"rows": "7"})
        assert "The deployment has been changed" in errors["rows"]
        await seed.delete(f"deployments/{deployment['id']}")
        assert await saved(slack, view, {"rows": "7"}, user=ADMIN)
        del slack.views[view["id"]]
        await slack.deliver(slack.press(card, "card_edit", user=ADMIN))
        gone = await slack.modal("not found")
        assert not inputs(gone)


async def test_while_prefect_hangs_nothing_typed_is_lost(
    slack: FakeSlack, app_for: AppFactory, between: Between, prefect_url: str, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=between.url):
        card = await asked(slack, f"run {deployment['full_name']}")
        view = await edited(slack, card)
        between.hang()
        errors = await slack.submits(view, {"rows": "7"}, user=ADMIN)
        assert "Prefect did not answer in time, and nothing was changed" in errors["rows"]
        assert "changed by" not in card.seen
        between.release()
        assert await saved(slack, view, {"rows": "7"}) == {}
        await says(slack, card, "*Parameter rows*\n7\n")
    assert await runs_of(prefect_url, deployment) == []


def test_a_changed_card_names_who_changed_it() -> None:
    fact = Fact(label="Parameter rows", value="7")
    card = Card("c", PROPOSAL.model_copy(update={"facts": (fact,)}), ADA, CARD.expires_at, revised_by=ADMIN)
    assert f"Asked by <@{ADA}> · parameters changed by <@{ADMIN}>" in json.dumps(
        card_message(card).blocks, ensure_ascii=False
    )
