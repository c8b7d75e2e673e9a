"""What is begun from Slack is followed to its end: one message is kept current, and people are told the news."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot.app import DATABASE_FILE, FOLLOWING, App
from bot.cards.table import Card
from bot.database import open_store, sqlite_url
from bot.follow.lease import Lease
from bot.follow.watch import Poller
from bot.follow.watch_table import Watch
from bot.inbox import Item
from bot.people import Person
from bot.policy.policy import Policy
from bot.question import Place
from bot.slack.card_blocks import card_message
from bot.slack.card_view import CardView
from bot.slack.conversation import Conversation, Target
from bot.slack.follower import Follower
from bot.slack.pace import Pace, Workspaces
from bot.slack.people import People
from bot.slack.presses import Presses
from bot.store import leases, now
from bot.workspaces import Workspaces as Prefects
from tests.fakes.prefect_between import Between
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import ADMIN, CHANNEL, OWNER, TEAM, Message, Thread
from tests.following import Clock
from tests.house import AppFactory
from tests.prefect_seed import Seed
from tests.serving import answered, serving, slack_variables
from tests.waiting import until

TRILLIAN = Person(ADMIN, TEAM, is_workspace_admin=True)
WITHIN = 30.0
TICKS = 8
KEPT = timedelta(days=30)


@dataclass
class Bot:
    """The bot's parts that follow runs, and a clock; `tick` is what happens every few seconds."""

    app: App
    slack: FakeSlack
    follower: Follower
    presses: Presses
    clock: Clock

    async def begun(self, tool: str, **arguments: Any) -> "Followed":
        """A card in a thread, confirmed by somebody else than who asked; again where Prefect was too busy."""
        for _ in range(3):
            card, message, thread_ts = await self._confirmed(tool, **arguments)
            if watch := await self.app.watches.of(card.id):
                return Followed(self, card, watch, message, thread_ts)
        raise AssertionError(message.seen)

    async def _confirmed(self, tool: str, **arguments: Any) -> tuple[Card, Message, str]:
        outcome = await self.app.toolbox.call(tool, arguments)
        assert outcome.proposal, outcome.error
        root = self.slack.post("do it", user=ADMIN)
        conversation, place = f"{TEAM}:{CHANNEL}:{root.ts}", Place(CHANNEL, "default")
        card = await self.app.cards.propose(outcome.proposal, TRILLIAN, conversation, place)
        target = Target(TEAM, CHANNEL, ADMIN, thread_ts=root.ts)
        ts = await Conversation(self.slack.client(), target).post(card_message(card))
        await self.app.cards.placed(card.id, channel=CHANNEL, ts=ts)
        await self.press(card, ts, root.ts)
        return card, self.slack.message(CHANNEL, ts), root.ts

    async def press(self, card: Card, ts: str, thread_ts: str) -> None:
        payload = {
            "user": OWNER,
            "user_team": TEAM,
            "team": TEAM,
            "card": card.id,
            "confirm": True,
            "channel": CHANNEL,
            "message_ts": ts,
            "thread_ts": thread_ts,
        }
        await self.presses.handle(Item(1, "x", "press", payload, 1))

    async def tick(self, after: float = 5.0) -> None:
        self.clock.skip(after)
        await self.follower.tick()

    async def until(self, condition: Callable[[], Any]) -> None:
        """As many ticks as it takes: a busy Prefect is asked again, and some news wait for the next one."""
        for _ in range(TICKS):
            await self.tick()
            if condition():
                return
        raise AssertionError("\n---\n".join(m.seen for m in self.slack.channel_thread(CHANNEL).bot))


@dataclass
class Followed:
    """A card whose runs are followed, as people see it."""

    bot: Bot
    card: Card
    watch: Watch
    message: Message
    thread_ts: str

    @property
    def runs(self) -> list[dict[str, Any]]:
        return [{"id": run.id} for run in self.watch.runs]

    @property
    def thread(self) -> Thread:
        return self.bot.slack.thread(CHANNEL, self.thread_ts)

    @property
    def news(self) -> list[Message]:
        """What was posted below the card, to notify."""
        return [message for message in self.thread.bot if message.ts != self.message.ts]

    async def now(self) -> Watch:
        watch = await self.bot.app.watches.of(self.card.id)
        assert watch
        return watch


@asynccontextmanager
async def bot_on(
    slack: FakeSlack,
    app: App,
    clock: Clock,
    lease: Lease | None = None,
    *,
    policy: Policy | None = None,
    looks_at: Prefects | None = None,
) -> AsyncIterator[Bot]:
    """`looks_at`: where runs are looked for, if that is not where they are begun."""
    client = slack.client(retry_handlers=[])
    view = CardView(app.cards, app.watches, app.workspaces, clock=clock)
    paces = Workspaces(Pace(), clock=lambda: clock().timestamp())
    follower = Follower(
        client,
        lease=lease or app.following,
        watches=app.watches,
        poller=Poller(looks_at or app.workspaces, app.watches, clock=clock),
        cards=app.cards,
        view=view,
        prefects=app.workspaces,
        paces=paces,
        policy=policy or app.policy,
        kept=KEPT,
        clock=clock,
    )
    presses = Presses(
        client, cards=app.cards, view=view, people=People(client), workspaces=paces, begun=follower.at_once
    )
    await (lease or app.following).take()
    yield Bot(app, slack, follower, presses, clock)


@pytest.fixture
async def bot(slack: FakeSlack, app_for: AppFactory, between: Between) -> AsyncIterator[Bot]:
    async with (
        app_for(**slack_variables(slack), PREFECT_API_URL=between.url) as app,
        bot_on(slack, app, Clock()) as bot,
    ):
        yield bot


@pytest.fixture
async def deployment(seed: Seed) -> dict[str, Any]:
    """A deployment whose pool has a worker, by its heartbeat."""
    pool = await seed.pool()
    await seed.worker(pool)
    return await seed.deployment(pool=pool)


# -- one message is kept current


async def test_the_cards_message_shows_each_state_and_its_end(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    message, (run,) = followed.message, followed.runs
    begun = len(bot.slack.called("chat.update"))
    assert "☑️ *Confirmed*" in message.seen
    assert "I follow it to its end" in message.seen
    waiting = r"🕓 \*<http\S+/runs/flow-run/\S+\|[\w-]+>\* · (?:Scheduled, waiting|\w+, not started)"
    await bot.until(lambda: re.search(waiting, message.seen))
    await seed.state(run, "RUNNING")
    await bot.until(lambda: re.search(r"▶️ .* · Running for \d+ s", message.seen))
    assert "as of <!date^" in message.seen
    await seed.state(run, "COMPLETED")
    await bot.until(lambda: followed.news)
    assert re.search(r"✅ .* · Completed in ", message.seen)
    assert "as of" not in message.seen
    assert {call.args["ts"] for call in bot.slack.called("chat.update")[begun:]} == {message.ts}
    assert (await followed.now()).ended == "ended"


async def test_who_confirmed_and_who_asked_are_told_in_one_line_that_it_passed(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "COMPLETED")
    await bot.until(lambda: followed.news)
    (news,) = followed.news
    assert re.fullmatch(
        rf"✅ <@{OWNER}> <@{ADMIN}> \*<\S+\|[\w-]+>\* of \S+/\S+: Completed in \S+ s\.", news.seen
    )
    assert news.buttons == []


async def test_task_runs_are_counted_only_for_a_message_that_is_repainted(
    bot: Bot, seed: Seed, deployment: dict[str, Any], between: Between
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    for number, state in enumerate(["COMPLETED", "COMPLETED", "RUNNING"]):
        body = {"flow_run_id": followed.runs[0]["id"], "task_key": "t", "dynamic_key": str(number)}
        await seed.post("task_runs/", {**body, "name": f"t-{number}", "state": {"type": state}})
    await bot.tick()
    assert "2 of 3 tasks done" in followed.message.seen
    counted = len(between.asked("ui/task_runs/count"))
    await bot.tick(after=3)
    assert len(between.asked("ui/task_runs/count")) == counted == 1


async def test_where_task_runs_cannot_be_counted_the_state_is_shown_all_the_same(
    bot: Bot, seed: Seed, deployment: dict[str, Any], between: Between
) -> None:
    between.fails["ui/task_runs/count"] = 404
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick()
    await bot.tick(after=30)
    assert "Running for" in followed.message.seen
    assert len(between.asked("ui/task_runs/count")) == 1


async def test_the_time_that_goes_by_is_shown_less_and_less_often(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick()
    edits = [followed.message.edits]
    for seconds in (3, 3, 60, 9, 9, 800, 30, 40):
        await bot.tick(after=seconds)
        edits.append(followed.message.edits)
    assert [after - before for before, after in pairwise(edits)] == [
        0,
        1,
        1,
        0,
        1,
        1,
        0,
        1,
    ]


async def test_a_run_for_next_week_is_left_alone_until_shortly_before(
    bot: Bot, deployment: dict[str, Any], between: Between
) -> None:
    due = (now().replace(microsecond=0)).timestamp() + 7 * 86_400
    when = now().fromtimestamp(due).astimezone().isoformat()
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"], scheduled_time=when)
    await bot.tick()
    assert f"Scheduled, starts at <!date^{int(due)}^" in followed.message.seen
    asked = len(between.asked("flow_runs/filter"))
    for _ in range(20):
        await bot.tick()
    assert len(between.asked("flow_runs/filter")) == asked
    await bot.tick(after=300)
    assert len(between.asked("flow_runs/filter")) == asked + 1
    assert followed.news == []


# -- what goes wrong


async def test_a_failed_run_is_explained_in_a_new_message_with_three_buttons(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    (run,) = followed.runs
    await seed.state(run, "RUNNING")
    why = "Flow run encountered an exception: ValueError: customer_id is missing"
    await seed.state(run, "FAILED", message=why)
    await bot.until(lambda: followed.news)
    assert re.search(r"❌ .* · Failed", followed.message.seen)
    assert "customer_id is missing" in followed.message.seen
    (news,) = followed.news
    assert news.thread_ts == followed.thread_ts
    assert news.seen.startswith(f"❌ <@{OWNER}> <@{ADMIN}> *<")
    assert "customer_id is missing" in news.seen
    said = [(button["text"]["text"], button["value"]) for button in news.buttons]
    id_ = run["id"]
    assert said == [("Retry", f"retry {id_}"), ("Logs", f"logs {id_}"), ("Explain", f"why {id_}")]
    await bot.tick()
    assert len(followed.news) == 1


async def test_the_end_is_explained_once_its_last_lines_have_arrived(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "FAILED", message="boom")
    bot.clock.skip(-1)
    await bot.tick(after=1)
    assert followed.news == []
    await bot.tick()
    assert len(followed.news) == 1


async def test_a_run_that_does_not_start_is_explained_once_and_followed_on(bot: Bot, seed: Seed) -> None:
    pool = await seed.pool(is_paused=True)
    followed = await bot.begun("trigger_run", deployment=(await seed.deployment(pool=pool))["full_name"])
    await bot.tick(after=60)
    assert followed.news == []
    await bot.tick(after=70)
    (news,) = followed.news
    assert "has not started" in news.seen
    assert f"<@{OWNER}>" in news.seen
    assert news.buttons[-2]["value"] == f"why {followed.runs[0]['id']}"
    assert news.buttons[-1]["value"] == f"cancel {followed.runs[0]['id']}"
    for _ in range(3):
        await bot.tick(after=130)
    assert len(followed.news) == 1
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick()
    assert "Running for" in followed.message.seen


async def test_a_paused_run_is_told_because_it_waits_for_somebody(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "PAUSED", "Suspended")
    await bot.tick()
    (news,) = followed.news
    assert "is Suspended and waits for somebody to resume it" in news.seen
    assert "⏸️" in followed.message.seen


async def test_a_deleted_run_is_the_end_of_it(bot: Bot, seed: Seed, deployment: dict[str, Any]) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await bot.tick()
    await seed.delete(f"flow_runs/{followed.runs[0]['id']}")
    await bot.tick()
    await bot.tick()
    assert "was deleted in Prefect" in followed.message.seen
    assert (await followed.now()).ended == "ended"


async def test_names_and_messages_of_others_call_nobody_and_link_nowhere(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    name = "<!channel> *x* <http://evil.example|y>"
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"], run_name=name)
    await seed.state(followed.runs[0], "CRASHED", message="<!here> <@U01ADA> http://evil.example `x")
    await bot.until(lambda: followed.news)
    for message in (followed.message, *followed.news):
        parsed = [text["text"] for text in texts_in(message.blocks) if text["type"] == "mrkdwn"]
        assert any("Crashed" in text for text in parsed)
        assert not re.search(r"<!(?:channel|here)>|<@U01ADA>|<http://evil", " ".join([*parsed, message.text]))


def texts_in(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object within blocks."""
    if isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value
        yield from texts_in(list(value.values()))


# -- many runs of one card


async def test_cancelling_many_runs_is_one_message_that_counts_them(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    runs = [await seed.run(deployment) for _ in range(4)]
    for run in runs[1:]:
        await seed.state(run, "RUNNING")
    followed = await bot.begun("cancel_runs", runs=[run["id"] for run in runs])
    await bot.tick()
    assert "🛑 *1 of 4 runs cancelled, 3 still stopping*" in followed.message.seen
    await bot.tick(after=40)
    (news,) = followed.news
    assert "and has not stopped" in news.seen
    assert f"A worker of {deployment['work_pool_name']} has to stop it; worker-1 online" in news.seen
    for run in runs[1:]:
        await seed.state(run, "CANCELLED")
    await bot.until(lambda: len(followed.news) == 2)
    assert "🚫 *4 of 4 runs cancelled*" in followed.message.seen
    assert followed.news[1].seen == f"🚫 <@{OWNER}> <@{ADMIN}> 4 of 4 runs cancelled."


async def test_runs_that_are_cancelled_at_once_are_not_told_again(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    run = await seed.run(deployment)
    followed = await bot.begun("cancel_runs", runs=[run["id"]])
    await bot.tick()
    await bot.tick()
    assert "🚫" in followed.message.seen
    assert followed.news == []


# -- a Prefect or a Slack that is in trouble


async def test_a_prefect_that_is_away_is_said_once_and_it_goes_on_after_that(
    bot: Bot, seed: Seed, deployment: dict[str, Any], between: Between
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick()
    edits = followed.message.edits
    between.away = True
    await bot.tick(after=60)
    assert followed.message.edits == edits
    await bot.tick(after=130)
    await bot.tick(after=130)
    assert "cannot be reached" in followed.message.seen
    assert followed.message.edits == edits + 1
    between.away = False
    await bot.tick(after=60)
    assert "cannot be reached" not in followed.message.seen
    assert "Running for" in followed.message.seen


async def test_slacks_rate_limit_is_honoured(bot: Bot, seed: Seed, deployment: dict[str, Any]) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    before = len(bot.slack.called("chat.update"))
    bot.slack.rate_limit("chat.update", retry_after=3600)
    for _ in range(3):
        await bot.tick()
    assert len(bot.slack.called("chat.update")) == before + 1
    assert "Running" not in followed.message.seen


async def test_after_a_passing_refusal_the_same_is_painted_again(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    bot.slack.fail("chat.update", "ratelimited", headers={"Retry-After": "0"})
    await bot.tick()
    await bot.tick()
    assert "Running for" in followed.message.seen


async def test_an_end_that_slack_refuses_for_now_is_told_later(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "COMPLETED")
    bot.slack.rate_limit("chat.postMessage", retry_after=60)
    await bot.tick()
    tried = len(bot.slack.called("chat.postMessage"))
    await bot.tick()
    assert followed.news == []
    assert (await followed.now()).ended == ""
    assert len(bot.slack.called("chat.postMessage")) == tried
    await bot.tick(after=60)
    assert len(followed.news) == 1


@pytest.mark.parametrize("gone", ["deleted", "removed"])
async def test_without_its_message_a_run_is_followed_no_more(
    bot: Bot, seed: Seed, deployment: dict[str, Any], between: Between, gone: str
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "FAILED")
    if gone == "deleted":
        followed.message.state = "deleted"
    else:
        bot.slack.fail("chat.update", "channel_not_found", times=None)
    await bot.tick()
    assert (await followed.now()).ended == "gone"
    asked = len(between.requests)
    await bot.tick()
    assert len(between.requests) == asked
    assert followed.news == []


async def test_of_many_messages_those_that_tell_an_end_are_painted_first_and_at_slacks_pace(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    cards = [await bot.begun("trigger_run", deployment=deployment["full_name"]) for _ in range(5)]
    await seed.state(cards[-1].runs[0], "COMPLETED")
    before = len(bot.slack.called("chat.update"))
    await bot.tick(after=30)
    painted = [call.args["ts"] for call in bot.slack.called("chat.update")[before:]]
    assert len(painted) == 2
    assert painted[0] == cards[-1].message.ts
    for _ in range(2):
        await bot.tick()
    shown = {call.args["ts"] for call in bot.slack.called("chat.update")[before:]}
    assert shown == {card.message.ts for card in cards}


async def test_following_ends_after_a_day_and_says_so(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "RUNNING")
    await bot.tick()
    await bot.tick(after=25 * 3600)
    assert "I have stopped following it" in followed.message.seen
    assert (await followed.now()).ended == "gave_up"
    assert followed.news == []


# -- restarts and replicas


@asynccontextmanager
async def kept(lease: Lease) -> AsyncIterator[None]:
    """The lease as a server keeps it, which takes it over from the one before."""
    keeping = asyncio.create_task(lease.keep())
    try:
        await until(lambda: lease.held)
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_after_a_restart_a_run_is_followed_on(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, seed: Seed, deployment: dict[str, Any]
) -> None:
    variables = {**slack_variables(slack), "PREFECT_API_URL": prefect_url}
    async with app_for(**variables) as app, bot_on(slack, app, Clock()) as bot:
        followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
        await seed.state(followed.runs[0], "RUNNING")
        await bot.tick()
    await seed.state(followed.runs[0], "COMPLETED")
    async with app_for(**variables) as app, kept(app.following), bot_on(slack, app, Clock()) as bot:
        await bot.until(lambda: followed.news)
    assert "Completed in" in followed.message.seen


async def test_only_the_replica_that_holds_the_lease_follows(
    bot: Bot, seed: Seed, deployment: dict[str, Any], between: Between, home: Path
) -> None:
    followed = await bot.begun("trigger_run", deployment=deployment["full_name"])
    await seed.state(followed.runs[0], "COMPLETED")
    async with open_store(sqlite_url(home / DATABASE_FILE)) as engine:
        lease = Lease(engine, FOLLOWING)
        async with bot_on(bot.slack, bot.app, bot.clock, lease) as other:
            asked = len(between.asked("flow_runs/filter"))
            await other.tick()
            assert "Completed" not in followed.message.seen
            # The first one has stopped to renew it.
            async with engine.begin() as connection:
                await connection.execute(update(leases).values(until=now()))
            assert await lease.take()
            assert not await bot.app.following.take()
            await bot.tick()
            assert "Completed" not in followed.message.seen
            await other.tick()
            assert "Completed" in followed.message.seen
    assert len(followed.news) == 1
    assert len(between.asked("flow_runs/filter")) > asked


# -- the whole bot


@pytest.mark.slow
async def test_from_a_mention_to_the_diagnosis_and_its_retry(
    slack: FakeSlack, app_for: AppFactory, prefect_url: str, seed: Seed, deployment: dict[str, Any]
) -> None:
    async with serving(slack, app_for, PREFECT_API_URL=prefect_url) as app:
        post = slack.mention(f"run {deployment['full_name']}", user=ADMIN)
        await slack.deliver(post.envelopes[0])
        card = (await answered(slack, post.ts)).bot[-1]
        await slack.deliver(slack.press(card, "card_confirm", user=OWNER))
        await slack.until(lambda: "🕓" in card.seen, timeout=WITHIN, why=card.seen)
        (watch,) = await app.watches.due(Clock()().replace(year=2100))
        await seed.state({"id": watch.runs[0].id}, "FAILED", message="ValueError: boom")
        await slack.until(lambda: "❌" in card.seen, timeout=WITHIN, why=card.seen)
        news = (await answered(slack, post.ts, count=2)).bot[-1]
        assert "boom" in news.seen
        await slack.deliver(slack.press(news, "say:0", user=OWNER))
        again = (await answered(slack, post.ts, count=3)).bot[-1]
        assert [button["action_id"] for button in again.buttons][:1] == ["card_confirm"], again.seen


async def test_a_press_that_comes_before_the_message_was_noted_is_followed_there(
    bot: Bot, seed: Seed, deployment: dict[str, Any]
) -> None:
    outcome = await bot.app.toolbox.call("trigger_run", {"deployment": deployment["full_name"]})
    assert outcome.proposal
    root = bot.slack.post("do it", user=ADMIN)
    conversation, place = f"{TEAM}:{CHANNEL}:{root.ts}", Place(CHANNEL, "default")
    card = await bot.app.cards.propose(outcome.proposal, TRILLIAN, conversation, place)
    target = Target(TEAM, CHANNEL, ADMIN, thread_ts=root.ts)
    ts = await Conversation(bot.slack.client(), target).post(card_message(card))
    await bot.press(card, ts, root.ts)
    watch = await bot.app.watches.of(card.id)
    assert watch
    await seed.state({"id": watch.runs[0].id}, "COMPLETED")
    await bot.until(lambda: "Completed" in bot.slack.message(CHANNEL, ts).seen)
