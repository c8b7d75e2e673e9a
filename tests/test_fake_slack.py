"""The fake Slack, driven by the real SDK and the real Bolt: it must be as strict as Slack."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from aiohttp import ClientSession, web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltRequest, AsyncRespond
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack, NotAcknowledged
from tests.fakes.slack_world import ADA, ADMIN, BOT_USER, CHANNEL, ELSEWHERE, OTHER_TEAM, STRANGER, TEAM


@pytest.fixture
def client(slack: FakeSlack) -> AsyncWebClient:
    return slack.client()


async def refused(call: Awaitable[Any]) -> str:
    """The error code with which Slack refuses the call."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


def stream_to(slack: FakeSlack, **more: Any) -> dict[str, Any]:
    post = slack.mention("hello")
    where = {"channel": CHANNEL, "thread_ts": post.ts}
    return where | {"recipient_user_id": ADA, "recipient_team_id": TEAM} | more


# -- the Web API


async def test_auth_test_names_the_bot_and_the_scopes(client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert answer["user_id"] == BOT_USER
    assert answer["bot_id"]
    assert "chat:write" in answer.headers["x-oauth-scopes"]


async def test_a_wrong_token_is_refused(slack: FakeSlack) -> None:
    stranger = AsyncWebClient(token="xoxb-other", base_url=slack.api_url)
    assert await refused(stranger.auth_test()) == "invalid_auth"


async def test_a_method_that_slack_does_not_have_is_unknown(client: AsyncWebClient) -> None:
    assert await refused(client.api_call("chat.postNovel", json={})) == "unknown_method"
    assert await refused(client.api_call("scopes", json={})) == "unknown_method"


async def test_a_missing_scope_is_named(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.api.scopes.discard("users:read")
    with pytest.raises(SlackApiError) as caught:
        await client.users_info(user=ADA)
    assert caught.value.response["needed"] == "users:read"


async def test_a_reader_sees_posts_updates_and_deletions(slack: FakeSlack, client: AsyncWebClient) -> None:
    root = slack.mention("hello").ts
    first = await client.chat_postMessage(channel=CHANNEL, thread_ts=root, text="one")
    second = await client.chat_postMessage(channel=CHANNEL, thread_ts=root, markdown_text="**two**")
    await client.chat_update(channel=CHANNEL, ts=first["ts"], text="three")
    assert slack.thread(CHANNEL, root).text == "three\n**two**"
    await client.chat_delete(channel=CHANNEL, ts=second["ts"])
    assert [message.seen for message in slack.thread(CHANNEL, root).bot] == ["three"]


async def test_a_new_text_stays_unseen_behind_earlier_blocks(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    blocks = [{"type": "markdown", "text": "old"}]
    ts = (await client.chat_postMessage(channel=CHANNEL, text="old", blocks=blocks))["ts"]
    await client.chat_update(channel=CHANNEL, ts=ts, text="new")
    assert slack.message(CHANNEL, ts).seen == "old"
    await client.chat_update(channel=CHANNEL, ts=ts, text="new", blocks=[])
    assert slack.message(CHANNEL, ts).seen == "new"


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        pytest.param(ELSEWHERE, "not_in_channel", id="bot is not in it"),
        pytest.param("C99NONE", "channel_not_found", id="no such channel"),
        pytest.param("C03OLD", "is_archived", id="archived"),
        pytest.param("C04SECRET", "channel_not_found", id="private without the bot"),
    ],
)
async def test_the_bot_writes_only_where_it_may(
    slack: FakeSlack, client: AsyncWebClient, channel: str, error: str
) -> None:
    slack.add_channel("C03OLD", "old", archived=True)
    slack.add_channel("C04SECRET", "secret", kind="group", bot=False)
    assert await refused(client.chat_postMessage(channel=channel, text="hello")) == error


async def test_a_reply_is_no_thread_root(slack: FakeSlack, client: AsyncWebClient) -> None:
    root = slack.mention("hello").ts
    reply = slack.reply("and?", root).ts
    await client.chat_postMessage(channel=CHANNEL, thread_ts=root, text="ok")
    assert (
        await refused(client.chat_postMessage(channel=CHANNEL, thread_ts=reply, text="no"))
        == "invalid_thread_ts"
    )


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def markdown(text: str) -> dict[str, Any]:
    return {"type": "markdown", "text": text}


def button(**more: Any) -> dict[str, Any]:
    label = {"type": "plain_text", "text": "Go"}
    return {"type": "actions", "elements": [{"type": "button", "text": label, "action_id": "go"} | more]}


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        pytest.param([section("x" * 3_001)], "invalid_blocks", id="section too long"),
        pytest.param([section("")], "invalid_blocks", id="empty text"),
        pytest.param([{"type": "section"}], "invalid_blocks", id="section of nothing"),
        pytest.param([section("x")] * 51, "invalid_blocks", id="51 blocks"),
        pytest.param([{"type": "sektion"}], "invalid_blocks", id="unknown block"),
        pytest.param([{"type": "alert", "text": "x"}], "invalid_blocks", id="a view's block"),
        pytest.param([section("x") | {"colour": "red"}], "invalid_blocks", id="unknown property"),
        pytest.param([section("x") | {"block_id": "a"}] * 2, "invalid_blocks", id="block_id twice"),
        pytest.param([markdown("x" * 12_001)], "invalid_blocks", id="one markdown block too long"),
        pytest.param([markdown("x" * 6_001)] * 2, "msg_too_long", id="markdown blocks together"),
        pytest.param([markdown("# a\n\nb\n\n" * 26)], "msg_blocks_too_many", id="headings expand"),
        pytest.param(
            [markdown("x" * 11_000), section("x" * 2_300)], "msg_blocks_too_long", id="all together"
        ),
        pytest.param([{"type": "context", "elements": []}], "invalid_blocks", id="empty context"),
        pytest.param([button(value="x" * 2_001)], "invalid_blocks", id="button value"),
        pytest.param(
            [button(text={"type": "plain_text", "text": "x" * 76})], "invalid_blocks", id="button text"
        ),
        pytest.param([button(text={"type": "mrkdwn", "text": "x"})], "invalid_blocks", id="button mrkdwn"),
        pytest.param([button(style="loud")], "invalid_blocks", id="button style"),
    ],
)
async def test_blocks_beyond_the_limits_are_refused(
    client: AsyncWebClient, blocks: list[dict[str, Any]], error: str
) -> None:
    assert await refused(client.chat_postMessage(channel=CHANNEL, text="fallback", blocks=blocks)) == error


async def test_texts_beyond_the_limits_are_refused(slack: FakeSlack, client: AsyncWebClient) -> None:
    post = client.chat_postMessage
    ts = (await post(channel=CHANNEL, text="x" * 4_001))["ts"]
    assert await refused(client.chat_update(channel=CHANNEL, ts=ts, text="x" * 4_001)) == "msg_too_long"
    assert await refused(post(channel=CHANNEL, markdown_text="x" * 12_001)) == "msg_too_long"
    assert await refused(post(channel=CHANNEL, text="a", markdown_text="b")) == "markdown_text_conflict"
    cut = await post(channel=CHANNEL, text="x" * 40_001)
    assert cut["warning"] == "message_truncated"


# -- streams


async def test_a_stream_is_seen_while_it_grows_and_after(slack: FakeSlack, client: AsyncWebClient) -> None:
    stream = await client.chat_startStream(**stream_to(slack), markdown_text="one ")
    message = slack.message(CHANNEL, stream["ts"])
    await client.chat_appendStream(
        channel=CHANNEL, ts=stream["ts"], chunks=[{"type": "markdown_text", "text": "two"}]
    )
    assert (message.seen, message.state) == ("one two", "streaming")
    await client.chat_stopStream(channel=CHANNEL, ts=stream["ts"], blocks=[section("footer")])
    assert (message.seen, message.state) == ("one two\nfooter", "stopped")


@pytest.mark.parametrize("missing", ["recipient_user_id", "recipient_team_id"])
async def test_a_stream_in_a_channel_needs_its_recipient(
    slack: FakeSlack, client: AsyncWebClient, missing: str
) -> None:
    arguments = stream_to(slack, **{missing: None})
    assert await refused(client.chat_startStream(**arguments)) == f"missing_{missing}"


async def test_a_stream_in_a_direct_conversation_needs_only_the_thread(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    post = slack.say_in_dm("hello")
    arguments: dict[str, Any] = {"channel": post.channel, "markdown_text": "x"}
    assert (await client.chat_startStream(**arguments, thread_ts=post.ts))["ok"]
    assert await refused(client.chat_startStream(**arguments, thread_ts="")) == "invalid_thread_ts"


async def test_a_stream_stops_once_and_takes_nothing_after(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts = (await client.chat_startStream(**stream_to(slack), markdown_text="x"))["ts"]
    await client.chat_stopStream(channel=CHANNEL, ts=ts)
    late = client.chat_appendStream(channel=CHANNEL, ts=ts, markdown_text="y")
    assert await refused(late) == "message_not_in_streaming_state"
    assert await refused(client.chat_stopStream(channel=CHANNEL, ts=ts)) == "message_not_in_streaming_state"


async def test_a_stream_expires_and_only_then_can_be_updated(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    ts = (await client.chat_startStream(**stream_to(slack), markdown_text="x"))["ts"]
    early = client.chat_update(channel=CHANNEL, ts=ts, text="y")
    assert await refused(early) == "streaming_state_conflict"
    slack.skip(301)
    late = client.chat_appendStream(channel=CHANNEL, ts=ts, markdown_text="y")
    assert await refused(late) == "message_not_in_streaming_state"
    await client.chat_update(channel=CHANNEL, ts=ts, text="y", blocks=[markdown("whole")])
    assert slack.message(CHANNEL, ts).seen == "whole"


async def test_a_stream_takes_no_more_than_12000_characters_a_call(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    start = client.chat_startStream
    long = {"type": "markdown_text", "text": "x" * 12_001}
    assert await refused(start(**stream_to(slack), chunks=[long])) == "msg_too_long"
    assert await refused(start(**stream_to(slack), chunks=[{"type": "text"}])) == "invalid_chunks"
    both: dict[str, Any] = {"markdown_text": "x", "chunks": [{"type": "markdown_text", "text": "y"}]}
    assert await refused(start(**stream_to(slack), **both)) == "markdown_text_conflict"


async def test_a_stream_stopped_by_the_user_says_so(slack: FakeSlack, client: AsyncWebClient) -> None:
    ts = (await client.chat_startStream(**stream_to(slack), markdown_text="x"))["ts"]
    slack.stop_stream_as_user(slack.message(CHANNEL, ts))
    late = client.chat_appendStream(channel=CHANNEL, ts=ts, markdown_text="y")
    assert await refused(late) == "stopped_by_user"


# -- status, reactions, views, files, people


async def test_a_status_is_shown_until_the_app_speaks(slack: FakeSlack, client: AsyncWebClient) -> None:
    root = slack.mention("hello").ts
    await client.assistant_threads_setStatus(channel_id=CHANNEL, thread_ts=root, status="is thinking…")
    assert slack.status(CHANNEL, root) == "is thinking…"
    await client.chat_postMessage(channel=CHANNEL, thread_ts=root, text="done")
    assert slack.status(CHANNEL, root) == ""


async def test_reactions_know_whether_they_are_there(slack: FakeSlack, client: AsyncWebClient) -> None:
    post = slack.mention("hello")
    reaction = {"channel": CHANNEL, "name": "eyes", "timestamp": post.ts}
    await client.reactions_add(**reaction)
    assert post.message.reactions == {"eyes": {BOT_USER}}
    assert await refused(client.reactions_add(**reaction)) == "already_reacted"
    await client.reactions_remove(**reaction)
    assert await refused(client.reactions_remove(**reaction)) == "no_reaction"


async def test_a_trigger_opens_one_view_within_three_seconds(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    title = {"type": "plain_text", "text": "Parameters"}
    view = {"type": "modal", "title": title, "blocks": [section("x")]}
    first, second = slack.trigger(), slack.trigger()
    opened = await client.views_open(trigger_id=first, view=view)
    assert await refused(client.views_open(trigger_id=first, view=view)) == "exchanged_trigger_id"
    slack.skip(3.5)
    assert await refused(client.views_open(trigger_id=second, view=view)) == "expired_trigger_id"
    updated = await client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=view)
    stale = client.views_update(view_id=opened["view"]["id"], hash=opened["view"]["hash"], view=view)
    assert await refused(stale) == "hash_conflict"
    assert updated["view"]["hash"] != opened["view"]["hash"]


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def field(**element: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": "b1",
        "label": plain("Rows"),
        "element": {"action_id": "v", **element},
    }


def modal(*blocks: dict[str, Any]) -> dict[str, Any]:
    words = {"title": plain("Parameters"), "submit": plain("Save"), "callback_id": "form"}
    return {"type": "modal", **words, "blocks": list(blocks)}


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        pytest.param({"type": "plain_text_input", "initial_value": "x" * 3_001}, "3001", id="long text"),
        pytest.param({"type": "number_input"}, "missing", id="decimal or not"),
        pytest.param({"type": "number_input", "is_decimal_allowed": False, "initial_value": "x"}, "number"),
        pytest.param({"type": "datepicker", "initial_date": "1.2.2026"}, "YYYY", id="date"),
        pytest.param({"type": "datetimepicker", "initial_date_time": 5}, "10 digits", id="time"),
        pytest.param({"type": "static_select", "options": []}, "1 to 100", id="no options"),
        pytest.param(
            {"type": "radio_buttons", "options": [{"text": plain("x" * 76), "value": "1"}]},
            "76",
            id="long option",
        ),
        pytest.param({"type": "slider"}, "unsupported", id="unknown"),
    ],
)
async def test_a_modal_that_slack_would_not_show_is_refused(
    slack: FakeSlack, client: AsyncWebClient, element: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.views_open(trigger_id=slack.trigger(), view=modal(field(**element)))
    assert reason in str(caught.value.response["errors"])


async def test_a_modal_is_filled_in_as_its_client_lets_people(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    shown = modal(field(type="number_input", is_decimal_allowed=False, initial_value="5"))
    await client.views_open(trigger_id=slack.trigger(), view=shown)
    view = await slack.modal("Rows")
    values = slack.submit(view, {}).payload["view"]["state"]["values"]
    assert values == {"b1": {"v": {"type": "number_input", "value": "5"}}}
    for wrong in ({"Rows": "many"}, {"Rows": ""}, {"Columns": "5"}):
        with pytest.raises(AssertionError):
            slack.submit(view, wrong)


async def test_a_file_lands_in_the_thread_with_its_bytes(slack: FakeSlack, client: AsyncWebClient) -> None:
    root = slack.mention("hello").ts
    answer = await client.files_upload_v2(
        content=b"\x89PNG", filename="gantt.png", alt_txt="a chart", channel=CHANNEL, thread_ts=root
    )
    shown = slack.thread(CHANNEL, root).bot[0].files[0]
    assert (shown["name"], shown["alt_txt"]) == ("gantt.png", "a chart")
    assert slack.files[answer["file"]["id"]]["data"] == b"\x89PNG"


async def test_people_and_groups_are_as_slack_shows_them(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.add_group("S01OPS", ADA, ADMIN)
    assert (await client.users_info(user=STRANGER))["user"]["team_id"] == OTHER_TEAM
    assert (await client.usergroups_users_list(usergroup="S01OPS"))["users"] == [ADA, ADMIN]
    assert await refused(client.usergroups_users_list(usergroup="S99")) == "no_such_subteam"
    opened = await client.conversations_open(users=ADA)
    assert opened["channel"]["id"] == slack.dm(ADA)


async def test_replies_and_permalinks_find_the_messages(slack: FakeSlack, client: AsyncWebClient) -> None:
    root = slack.mention("hello").ts
    reply = slack.reply("and?", root).ts
    replies = await client.conversations_replies(channel=CHANNEL, ts=root, limit=10)
    assert [message["ts"] for message in replies["messages"]] == [root, reply]
    link = await client.chat_getPermalink(channel=CHANNEL, message_ts=root)
    assert link["permalink"].endswith(root.replace(".", ""))


# -- faults


async def test_a_fault_hits_the_calls_it_is_meant_for(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.fail("chat.postMessage", "internal_error", times=1, after=1)
    await client.chat_postMessage(channel=CHANNEL, text="one")
    assert await refused(client.chat_postMessage(channel=CHANNEL, text="two")) == "internal_error"
    await client.chat_postMessage(channel=CHANNEL, text="three")
    assert slack.channel_thread(CHANNEL).text == "one\nthree"
    assert [call.ok for call in slack.called("chat.postMessage")] == [True, False, True]


async def test_a_rate_limit_carries_its_wait_and_the_sdk_obeys(slack: FakeSlack) -> None:
    handlers: list[AsyncRetryHandler] = [AsyncRateLimitErrorRetryHandler(max_retry_count=1)]
    slack.rate_limit("auth.test", retry_after=0, times=1)
    assert (await slack.client(retry_handlers=handlers).auth_test())["ok"]
    slack.rate_limit("auth.test", retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        await slack.client(retry_handlers=[]).auth_test()
    assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "7")


async def test_a_server_error_has_no_json(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.fail("auth.test", "", status=500)
    with pytest.raises(SlackApiError) as caught:
        await client.auth_test()
    assert caught.value.response.status_code == 500


async def test_an_answer_can_be_lost_after_the_work_was_done(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    slack.fail("chat.postMessage", "", status=0, applied=True)
    await client.chat_postMessage(channel=CHANNEL, text="once")
    # The SDK's default handler sends the request again when the connection is cut.
    assert slack.channel_thread(CHANNEL).text == "once\nonce"


async def test_a_held_call_waits_until_it_is_let_go(slack: FakeSlack, client: AsyncWebClient) -> None:
    gate = slack.hold("auth.test")
    call = asyncio.create_task(client.auth_test())
    await asyncio.wait_for(gate.reached.wait(), 5)
    assert not call.done()
    gate.release()
    assert (await call)["ok"]


async def test_proxy_variables_are_out_of_the_way_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with FakeSlack() as slack:
        assert (await slack.client().auth_test())["ok"]
    assert os.environ["HTTPS_PROXY"] == "http://127.0.0.1:9"


# -- delivery, with a real Bolt app at the other end


class Listener:
    """A Bolt app that writes down what reaches it."""

    def __init__(self, slack: FakeSlack) -> None:
        self.heard: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.slack = slack
        self.app = AsyncApp(client=slack.client(), signing_secret=slack.signing_secret)
        self.app.event(re.compile("app_mention|app_home_opened"))(self.event)
        self.app.event("message")(self.event)
        self.app.action("go")(self.action)
        self.app.command("/ask-marvin")(self.command)

    async def event(self, event: dict[str, Any], body: dict[str, Any], request: AsyncBoltRequest) -> None:
        retry = {name: value for name, value in request.headers.items() if "retry" in name}
        self.note(event["type"], body, retry)

    async def action(self, ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        await ack()
        await respond(text="pressed", replace_original=True)
        self.note("action", body, {})

    async def command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack("heard you")
        self.note("command", body, {})

    def note(self, kind: str, body: dict[str, Any], more: dict[str, Any]) -> None:
        self.heard.append((kind, body, more))
        self.slack.changed()

    async def wait(self, count: int) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        await self.slack.until(lambda: len(self.heard) >= count, why=f"{count} deliveries")
        return self.heard


@pytest.fixture
def listener(slack: FakeSlack) -> Listener:
    return Listener(slack)


@pytest.fixture
async def by_socket(slack: FakeSlack, listener: Listener) -> AsyncIterator[AsyncSocketModeHandler]:
    handler = AsyncSocketModeHandler(listener.app, slack.app_token, ping_interval=0.2)
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.connected()
    yield handler
    await handler.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
async def by_http(slack: FakeSlack, listener: Listener) -> AsyncIterator[None]:
    async def receive(request: web.Request) -> web.Response:
        answer = await listener.app.async_dispatch(await to_bolt_request(request))
        return await to_aiohttp_response(answer)

    app = web.Application()
    app.router.add_post("/slack/events", receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.request_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield
    await runner.cleanup()


@pytest.fixture(params=["by_socket", "by_http"])
def transport(request: pytest.FixtureRequest) -> str:
    request.getfixturevalue(request.param)
    return str(request.param)


async def test_a_mention_comes_twice_with_one_ts(
    slack: FakeSlack, listener: Listener, transport: str
) -> None:
    post = slack.mention("what is a work pool?")
    for envelope in post:
        assert (await slack.deliver(envelope)).status == 200
    heard = await listener.wait(2)
    assert sorted(kind for kind, _, _ in heard) == ["app_mention", "message"]
    bodies = {kind: body for kind, body, _ in heard}
    assert bodies["app_mention"]["event"]["ts"] == bodies["message"]["event"]["ts"] == post.ts
    assert bodies["app_mention"]["event_id"] != bodies["message"]["event_id"]
    assert "channel_type" not in bodies["app_mention"]["event"]


async def test_a_retry_has_its_headers_and_the_same_event_id(
    slack: FakeSlack, listener: Listener, transport: str
) -> None:
    (envelope,) = slack.say_in_dm("hello")
    await slack.deliver(envelope)
    await slack.deliver(envelope, retry=1)
    (_, first, none), (_, second, retry) = await listener.wait(2)
    assert first["event_id"] == second["event_id"]
    assert (none, retry) == ({}, {"x-slack-retry-num": ["1"], "x-slack-retry-reason": ["http_timeout"]})


async def test_a_command_is_answered_in_its_acknowledgement(
    slack: FakeSlack, listener: Listener, transport: str
) -> None:
    reply = await slack.deliver(slack.slash("/ask-marvin", "pools"))
    assert reply.body in ({"text": "heard you"}, "heard you")
    ((_, body, _),) = await listener.wait(1)
    assert (body["text"], body["user_id"], "thread_ts" in body) == ("pools", ADA, False)


async def test_a_button_is_pressed_and_the_response_address_rewrites_the_message(
    slack: FakeSlack, client: AsyncWebClient, listener: Listener, transport: str
) -> None:
    blocks = [section("Sure?"), button(value="card-1")]
    posted = await client.chat_postMessage(channel=CHANNEL, text="Sure?", blocks=blocks)
    message = slack.message(CHANNEL, posted["ts"])
    await slack.deliver(slack.press(message, "go", user=ADMIN))
    ((_, body, _),) = await listener.wait(1)
    assert (body["actions"][0]["value"], body["user"]["id"]) == ("card-1", ADMIN)
    assert message.seen == "pressed"
    with pytest.raises(AssertionError, match="No button"):
        slack.press(message, "go")


async def test_own_messages_do_not_reach_a_listener_and_other_bots_do(
    slack: FakeSlack, client: AsyncWebClient, listener: Listener, transport: str
) -> None:
    posted = await client.chat_postMessage(channel=CHANNEL, text="mine")
    await slack.deliver(slack.own_echo(slack.message(CHANNEL, posted["ts"])))
    for envelope in slack.other_bot("beep"):
        await slack.deliver(envelope)
    heard = await listener.wait(1)
    assert [body["event"].get("bot_id") for _, body, _ in heard] == ["B01ROBOT"]


async def test_an_edit_carries_both_versions(slack: FakeSlack, listener: Listener, transport: str) -> None:
    post = slack.mention("waht is a work pool?")
    await slack.deliver(slack.edit(post.message, f"<@{BOT_USER}> what is a work pool?"))
    ((_, body, _),) = await listener.wait(1)
    event = body["event"]
    assert event["subtype"] == "message_changed"
    assert event["message"]["ts"] == post.ts != event["ts"]
    assert "waht" in event["previous_message"]["text"]


async def test_a_file_comes_without_text(slack: FakeSlack, listener: Listener, transport: str) -> None:
    for envelope in slack.file_only("trace.log"):
        await slack.deliver(envelope)
    ((_, body, _),) = await listener.wait(1)
    assert (body["event"]["text"], body["event"]["files"][0]["name"]) == ("", "trace.log")


@pytest.mark.usefixtures("by_socket")
async def test_an_event_without_a_listener_is_not_acknowledged_by_socket(slack: FakeSlack) -> None:
    envelope = slack.home_opened()
    envelope.event["type"] = "team_join"
    with pytest.raises(NotAcknowledged):
        await slack.deliver(envelope, timeout=0.3)


@pytest.mark.usefixtures("by_http")
async def test_badly_signed_and_old_deliveries_are_refused_by_the_app(slack: FakeSlack) -> None:
    envelope = slack.home_opened()
    assert (await slack.deliver_http(envelope, secret="wrong")).status == 401
    assert (await slack.deliver_http(envelope, age=301)).status == 401
    assert (await slack.deliver_http(envelope)).status == 200


async def test_a_disconnect_frame_brings_a_new_connection(
    slack: FakeSlack, listener: Listener, by_socket: AsyncSocketModeHandler
) -> None:
    await slack.disconnect()
    await slack.until(lambda: len(slack.tickets) == 2, why="a second ticket")
    await slack.until(lambda: len(slack.sockets) == 1, why="one socket again")
    await slack.deliver(slack.home_opened())
    assert len(await listener.wait(1)) == 1


async def test_a_refused_ticket_is_never_taken_later(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.refused_tickets = 1
    url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    async with ClientSession() as session:
        for _ in range(2):
            async with session.get(url) as answer:
                assert answer.status == 403
    assert slack.sockets == []


async def test_opening_a_connection_needs_the_app_token(client: AsyncWebClient) -> None:
    assert await refused(client.apps_connections_open(app_token="xoxb-test")) == "not_allowed_token_type"
