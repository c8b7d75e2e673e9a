"""A message whose first try died is answered again, and what it has led to by then is found."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.app import DATABASE_FILE
from bot.inbox import Delivery
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_events import Post
from tests.fakes.slack_world import ADMIN, CHANNEL, TEAM, Message
from tests.house import AppFactory
from tests.serving import ANSWERED_WITHIN, serving, slack_variables
from tests.waiting import until


@pytest.fixture
def post(slack: FakeSlack) -> Post:
    return slack.mention("reindex", user=ADMIN)


def said(post: Post, text: str) -> Delivery:
    payload = {
        "user": ADMIN,
        "user_team": TEAM,
        "team": TEAM,
        "channel": CHANNEL,
        "ts": post.ts,
        "thread_ts": post.ts,
        "text": text,
        "has_files": False,
    }
    return Delivery(f"{TEAM}:event:1", f"{TEAM}:{CHANNEL}:{post.ts}", "message", payload)


def typed(slack: FakeSlack) -> Delivery:
    payload = {
        "user": ADMIN,
        "user_team": TEAM,
        "team": TEAM,
        "channel": CHANNEL,
        "text": "reindex",
        "response_url": slack.response_url(CHANNEL, ADMIN),
    }
    return Delivery(f"{TEAM}:command:1", f"{TEAM}:{CHANNEL}:command:1", "command", payload)


async def tried(slack: FakeSlack, app_for: AppFactory, home: Path) -> None:
    """A server that works through the inbox, and is stopped when nothing is left in it."""
    async with serving(slack, app_for):
        waiting = "SELECT 1 FROM inbox WHERE state IN ('new', 'claimed')"
        await until(lambda: not rows(home, waiting), within=ANSWERED_WITHIN)


async def tried_again(slack: FakeSlack, app_for: AppFactory, home: Path, delivery: Delivery) -> None:
    """As after a crash right before the item was closed."""
    change(
        home,
        "UPDATE inbox SET state = 'claimed', finished_at = NULL, payload = ?",
        json.dumps(delivery.payload),
    )
    await tried(slack, app_for, home)


def rows(home: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(home / DATABASE_FILE)) as database:
        return database.execute(query).fetchall()


def change(home: Path, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(home / DATABASE_FILE)) as database, database:
        database.execute(statement, values)


async def arrived(slack: FakeSlack, app_for: AppFactory, delivery: Delivery) -> None:
    async with app_for(**slack_variables(slack)) as app:
        await app.inbox.put(delivery)


def shown(slack: FakeSlack) -> list[Message]:
    """All cards with buttons."""
    return [message for message in slack.channel_thread(CHANNEL).bot if message.buttons]


async def test_a_message_that_is_answered_again_after_a_crash_has_one_card(
    slack: FakeSlack, app_for: AppFactory, home: Path, post: Post
) -> None:
    delivery = said(post, "reindex")
    await arrived(slack, app_for, delivery)
    await tried(slack, app_for, home)
    (card,) = shown(slack)
    await tried_again(slack, app_for, home, delivery)
    assert shown(slack) == [card]
    assert len(slack.thread(CHANNEL, post.ts).bot) == 1
    assert rows(home, "SELECT decision FROM audit") == [("proposed",)]


async def test_a_card_that_nobody_noted_where_it_stands_is_shown_again_as_the_same(
    slack: FakeSlack, app_for: AppFactory, home: Path, post: Post
) -> None:
    delivery = said(post, "reindex")
    await arrived(slack, app_for, delivery)
    await tried(slack, app_for, home)
    change(home, "UPDATE cards SET message_ts = ''")
    await tried_again(slack, app_for, home, delivery)
    first, second = shown(slack)
    assert {button["value"] for button in first.buttons} == {button["value"] for button in second.buttons}


async def test_what_was_decided_before_the_message_is_answered_again_is_not_asked_again(
    slack: FakeSlack, app_for: AppFactory, home: Path, post: Post
) -> None:
    delivery = said(post, "reindex")
    await arrived(slack, app_for, delivery)
    await tried(slack, app_for, home)
    change(home, "UPDATE cards SET state = 'declined'")
    await tried_again(slack, app_for, home, delivery)
    assert rows(home, "SELECT count(*) FROM cards") == [(1,)]
    assert len(slack.thread(CHANNEL, post.ts).bot) == 1


async def test_a_card_whose_time_was_over_by_then_is_made_anew(
    slack: FakeSlack, app_for: AppFactory, home: Path, post: Post
) -> None:
    delivery = said(post, "reindex")
    await arrived(slack, app_for, delivery)
    await tried(slack, app_for, home)
    change(home, "UPDATE cards SET state = 'expired'")
    await tried_again(slack, app_for, home, delivery)
    assert rows(home, "SELECT state FROM cards ORDER BY created_at") == [("expired",), ("open",)]


async def test_a_slash_command_that_opened_another_thread_leads_to_its_card(
    slack: FakeSlack, app_for: AppFactory, home: Path
) -> None:
    delivery = typed(slack)
    await arrived(slack, app_for, delivery)
    await tried(slack, app_for, home)
    (card,) = shown(slack)
    await tried_again(slack, app_for, home, delivery)
    assert shown(slack) == [card]
    last = slack.channel_thread(CHANNEL).bot[-1]
    assert "The card for this stands here already." in last.seen
    assert card.ts.replace(".", "") in last.seen


async def test_the_same_asked_in_two_messages_are_two_cards(
    slack: FakeSlack, app_for: AppFactory, home: Path, post: Post
) -> None:
    other = slack.mention("reindex", user=ADMIN)
    one, two = said(post, "reindex"), said(other, "reindex")
    await arrived(slack, app_for, one)
    await arrived(slack, app_for, Delivery("other", two.conversation, two.kind, two.payload))
    await tried(slack, app_for, home)
    assert len(shown(slack)) == 2
