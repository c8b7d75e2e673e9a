"""A picture in a Slack thread: uploaded with words for who cannot see it, or a table where Slack takes none."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.events import Answer, CardProposed, Done, Event, PictureDrawn, TextDelta
from bot.pictures import Picture
from bot.slack.conversation import Target
from bot.slack.manifest import manifest
from bot.slack.pace import Pace
from bot.slack.renderer import SlackRenderer
from tests.fakes.model import FakeModel, Say
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_events import Post
from tests.fakes.slack_world import ADA, CHANNEL, TEAM, Thread
from tests.house import AppFactory, events_of, model_variables
from tests.prefect_seed import Seed
from tests.serving import unplaced
from tests.test_slack_renderer import card

AT_ONCE = Pace(first=0.0, append=0.0, append_each=0.0, update=0.0, update_each=0.0, between_statuses=0.0)
PICTURE = Picture(
    b"\x89PNG and more", "etl/nightly", "Ten runs, one failed.", "timeline-etl.png", "| a | b |"
)


async def with_picture(*more: Event) -> AsyncIterator[Event]:
    yield TextDelta("Here it is.")
    yield PictureDrawn(PICTURE)
    for event in more:
        yield event
    yield Done(Answer("Here it is."))


async def rendered(slack: FakeSlack, post: Post, renderer: SlackRenderer, *more: Event) -> Thread:
    target = Target(channel=post.channel, team=TEAM, user=ADA, thread_ts=post.ts, message_ts=post.ts)
    await renderer.render(with_picture(*more), target)
    return slack.thread(CHANNEL, post.ts)


def renderer_for(slack: FakeSlack) -> SlackRenderer:
    return SlackRenderer(slack.client(retry_handlers=[]), placed=unplaced, pace=AT_ONCE)


async def test_a_picture_stands_below_the_answer_with_its_alt_text(slack: FakeSlack) -> None:
    slack.api.scopes = set(manifest()["oauth_config"]["scopes"]["bot"])
    thread = await rendered(slack, slack.mention("timeline etl/nightly"), renderer_for(slack))
    said, shown = thread.bot
    assert said.markdown == "Here it is."
    [file] = shown.files
    assert (file["name"], file["title"], file["alt_txt"]) == (
        "timeline-etl.png",
        "etl/nightly",
        "Ten runs, one failed.",
    )
    assert slack.files[file["id"]]["data"] == PICTURE.png


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
@pytest.mark.parametrize(
    "error", ["missing_scope", "file_uploads_disabled", "file_type_not_allowed", "slack_connect_file_blocked"]
)
async def test_where_slack_takes_no_file_the_figures_stand_as_a_table(
    slack: FakeSlack, method: str, error: str
) -> None:
    slack.fail(method, error)
    thread = await rendered(slack, slack.mention("timeline etl/nightly"), renderer_for(slack))
    assert "| a | b |" in thread.text
    assert ("files:write" in thread.text) is (error == "missing_scope")


async def test_a_connection_that_breaks_costs_the_picture_and_not_the_answer(slack: FakeSlack) -> None:
    slack.fail("files.completeUploadExternal", "cut", status=0)
    thread = await rendered(slack, slack.mention("timeline etl/nightly"), renderer_for(slack))
    assert "Here it is." in thread.text
    assert "| a | b |" in thread.text


async def test_a_rate_limit_is_waited_for(slack: FakeSlack) -> None:
    slack.rate_limit("files.getUploadURLExternal", retry_after=0)
    thread = await rendered(slack, slack.mention("timeline etl/nightly"), renderer_for(slack))
    assert [len(message.files) for message in thread.bot] == [0, 1]


async def test_a_workspace_that_takes_no_files_is_not_asked_each_time(slack: FakeSlack) -> None:
    slack.fail("files.getUploadURLExternal", "file_uploads_disabled", times=None)
    renderer = renderer_for(slack)
    for _ in range(2):
        thread = await rendered(slack, slack.mention("timeline etl/nightly"), renderer)
        assert "| a | b |" in thread.text
    assert len(slack.called("files.getUploadURLExternal")) == 1


async def test_a_card_is_shown_although_neither_picture_nor_table_is_taken(slack: FakeSlack) -> None:
    slack.fail("files.getUploadURLExternal", "missing_scope")
    # After the answer, the table is what is posted next.
    slack.fail("chat.postMessage", "no_permission", after=1)
    post = slack.mention("timeline etl/nightly")
    thread = await rendered(slack, post, renderer_for(slack), CardProposed(card()))
    assert "| a | b |" not in thread.text
    assert thread.bot[-1].buttons


# -- the agent --


async def finished_run(seed: Seed) -> tuple[dict[str, Any], dict[str, Any]]:
    deployment = await seed.deployment()
    run = await seed.run(deployment)
    await seed.state(run, "RUNNING")
    await seed.state(run, "COMPLETED")
    return deployment, run


async def test_a_typed_command_draws_a_run_or_a_deployment(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    deployment, run = await finished_run(seed)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        for name, says in (
            (run["name"], "Completed after"),
            (deployment["full_name"], "1 Completed"),
            (f"{deployment['full_name']} 5", "1 Completed"),
        ):
            *events, done = await events_of(app, f"timeline {name}")
            [picture] = [event.picture for event in events if isinstance(event, PictureDrawn)]
            assert isinstance(done, Done)
            assert done.answer.pictures == (picture,)
            assert picture.png.startswith(b"\x89PNG")
            assert name.split()[0] in done.answer.text
            assert says in done.answer.text


async def test_where_there_is_nothing_to_see_the_command_says_so(
    app_for: AppFactory, prefect_url: str, seed: Seed
) -> None:
    run = await seed.run(await seed.deployment(), due_in=3600)
    async with app_for(PREFECT_API_URL=prefect_url) as app:
        events = await events_of(app, f"timeline {run['name']}")
    assert not any(isinstance(event, PictureDrawn) for event in events)
    assert isinstance(events[-1], Done)
    assert "has not begun" in events[-1].answer.text


async def test_the_model_has_a_picture_drawn_and_is_told_that_it_is_shown(
    app_for: AppFactory, model: FakeModel, prefect_url: str, seed: Seed
) -> None:
    _, run = await finished_run(seed)
    model.replies = [
        Say(calls=[("draw_timeline", json.dumps({"flow_run": run["name"]}))]),
        Say("Most of the time went nowhere.\n\nVERDICT: answered"),
    ]
    async with app_for(PREFECT_API_URL=prefect_url, **model_variables(model)) as app:
        events = await events_of(app, "show me where the time went")
    assert sum(isinstance(event, PictureDrawn) for event in events) == 1
    assert "is shown below your answer" in model.last_messages[-1]["content"]
