"""Action cards: who may press, what a press comes to, and that nothing is ever done twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.audit.trail import MAX_DETAIL, Audit, Wanted
from bot.cards.book import CardBook
from bot.cards.busy import START_UP, StillRunning
from bot.cards.expiry import CHANGED, CUT_OFF, EXPIRY
from bot.cards.performer import Report
from bot.cards.table import Card, CardState
from bot.follow.watch_table import WatchTable
from bot.people import LOCAL, Person
from bot.policy.policy import LOOK_EVERY_S, Policy
from bot.policy.rules import Level, Role, Rule, Rules
from bot.question import Place
from bot.store import audit, cards, now
from knowledge.errors import BadInput, Busy, ExpectedError, Refused, Unreachable
from knowledge.report import Progress
from tests.database import decisions
from tools.errors import Changed, NotFound
from tools.proposal import Affected, Detail, Fact, Link, Proposal, Receipt

PATIENCE_S = 20
THREAD = "T1:C1:1.0"
HERE = Place("C1", "prod")
ANN = Person(id="U1ANN", team="T1")
BOB = Person(id="U2BOB", team="T1")
VERA = Person(id="U3VERA", team="T1")
GUEST = Person(id="U4GUEST", team="T1", is_guest=True)
STRANGER = Person(id="U1ANN", team="T2", is_workspace_admin=True)
POLICY = Policy(
    Rules(
        {Role.ADMIN: frozenset(), Role.OPERATOR: frozenset({"U1ANN", "U2BOB"}), Role.VIEWER: frozenset({"*"})}
    )
)
VIEWERS = {Role.ADMIN: frozenset[str](), Role.OPERATOR: frozenset[str](), Role.VIEWER: frozenset({"*"})}
NOBODY = Policy(Rules(VIEWERS))
PROPOSAL = Proposal(
    action="trigger_run",
    title="Start a run of etl/nightly",
    target="etl/nightly",
    target_url="http://127.0.0.1:4200/deployments/1",
    facts=(Fact(label="Parameters", value='{"day": "2026-01-01"}'),),
    arguments={"deployment_id": "1", "parameters": {"day": "2026-01-01"}},
    fingerprint="abc",
)


class Hands:
    """Does what a card says by writing it down. What it finds and how it ends is set beforehand."""

    def __init__(self) -> None:
        self.done: list[tuple[Proposal, str, str]] = []
        self.finds: BaseException | None = None
        self.busy: Busy | None = None
        self.ends: Receipt | BaseException = Receipt(
            ok=True, text="Run brave-bee was created.", url="http://ui/1"
        )
        self.before_check: Callable[[], Awaitable[Any]] | None = None
        self.started = asyncio.Event()
        self.go_on: asyncio.Event | None = None

    async def check_free(self, proposal: Proposal) -> None:
        if self.busy:
            raise self.busy

    async def recheck(self, _card: Card) -> None:
        if self.before_check:
            await self.before_check()
        if self.finds:
            raise self.finds

    async def perform(self, card: Card, *, key: str, actor: str, report: Report) -> Receipt:
        self.done.append((card.proposal, key, actor))
        self.started.set()
        await report(Progress(stage="fetch", source="docs", done=1, total=2))
        if self.go_on:
            await self.go_on.wait()
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


async def quiet(_progress: Progress) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def hands() -> Hands:
    return Hands()


def book_on(engine: AsyncEngine, hands: Hands, policy: Policy = POLICY) -> CardBook:
    return CardBook(engine, policy=policy, performer=hands, audit=Audit(engine), watches=WatchTable(engine))


@pytest.fixture
def book(engine: AsyncEngine, hands: Hands) -> CardBook:
    return book_on(engine, hands)


@pytest.fixture
async def card(book: CardBook) -> Card:
    """Ann's open card."""
    return await book.propose(PROPOSAL, ANN, THREAD, HERE)


async def now_is(book: CardBook, card: Card) -> Card:
    found = await book.get(card.id, card.team)
    assert found is not None
    return found


async def press(book: CardBook, card: Card, person: Person, **more: Any) -> Any:
    """Confirm as the surface does: the card is read when the press arrives."""
    return await book.confirm(await now_is(book, card), person, report=quiet, **more)


async def change(engine: AsyncEngine, card: Card, **values: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(cards).where(cards.c.id == card.id).values(**values))


async def last_detail(engine: AsyncEngine) -> str:
    query = select(audit.c.detail).order_by(audit.c.id.desc()).limit(1)
    async with engine.connect() as connection:
        return str((await connection.execute(query)).scalar_one())


# -- proposing


async def test_a_card_is_held_until_somebody_decides(book: CardBook, card: Card, hands: Hands) -> None:
    found = await now_is(book, card)
    assert found == card
    assert (found.state, found.asked_by, found.conversation) == ("open", ANN.id, THREAD)
    assert timedelta() < found.expires_at - now() <= EXPIRY
    assert hands.done == []


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"nested": [{"list": [1, 2.5, None, True]}], "": ""}, id="nested"),
        pytest.param(2**70, id="a great number"),
        pytest.param(0.1 + 0.2, id="a fraction"),
        pytest.param("null \0, half a pair \ud83e, line\nbreak, ‘quotes', 🤖 and \u2028", id="text"),
    ],
)
async def test_a_proposal_comes_back_from_the_database_unchanged(book: CardBook, value: Any) -> None:
    proposal = PROPOSAL.model_copy(
        update={"arguments": {"value": value}, "facts": (Fact(label="value", value=str(value)),)}
    )
    card = await book.propose(proposal, ANN, THREAD, HERE)
    assert (await now_is(book, card)).proposal == proposal


@pytest.mark.parametrize("value", [float("nan"), float("-inf")], ids=str)
async def test_a_number_that_would_come_back_as_null_gets_no_card(book: CardBook, value: float) -> None:
    proposal = PROPOSAL.model_copy(update={"arguments": {"parameters": {"threshold": [value]}}})
    with pytest.raises(BadInput, match="NaN"):
        await book.propose(proposal, ANN, THREAD, HERE)


async def test_who_may_not_do_it_gets_no_card(book: CardBook, engine: AsyncEngine) -> None:
    with pytest.raises(Refused):
        await book.propose(PROPOSAL, VERA, THREAD, HERE)
    async with engine.connect() as connection:
        assert (await connection.execute(select(cards))).all() == []


async def test_a_card_is_found_by_its_own_team_alone(book: CardBook, card: Card) -> None:
    assert await book.get(card.id, "T2") is None
    assert await book.get("no-such-card", "T1") is None


async def test_a_card_remembers_the_message_that_shows_it(book: CardBook, card: Card) -> None:
    await book.placed(card.id, channel="C1", ts="2.0")
    found = await now_is(book, card)
    assert (found.message_channel, found.message_ts) == ("C1", "2.0")


# -- proposing again, because the first try died


OTHERWISE = PROPOSAL.model_copy(
    update={"arguments": {"deployment_id": "1", "parameters": {"day": "2026-01-02"}}, "fingerprint": "def"}
)
KEY = "T1:event:Ev1:0"


async def again(book: CardBook, proposal: Proposal, place: Place = HERE) -> Card:
    return await book.propose(proposal, ANN, THREAD, place, key=KEY)


async def test_a_card_that_nobody_has_seen_does_what_the_second_try_says(
    book: CardBook, hands: Hands, engine: AsyncEngine
) -> None:
    first = await again(book, PROPOSAL)
    second = await again(book, OTHERWISE)
    assert second == await now_is(book, first)
    assert second.proposal == OTHERWISE
    assert await decisions(engine) == [(ANN.id, "proposed"), (ANN.id, "proposed")]
    pressed = await press(book, second, ANN, seen=first.revision)
    assert pressed.refusal == CHANGED
    await press(book, second, ANN, seen=second.revision)
    assert [proposal for proposal, *_ in hands.done] == [OTHERWISE]


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({"message_ts": "2.0"}, id="shown"),
        pytest.param({"revision": 1, "revised_by": BOB.id}, id="edited"),
        pytest.param({"state": "done"}, id="done"),
    ],
)
async def test_a_card_that_somebody_has_seen_stays_as_it_is(
    book: CardBook, engine: AsyncEngine, seen: dict[str, Any]
) -> None:
    first = await again(book, PROPOSAL)
    await change(engine, first, **seen)
    assert (await again(book, OTHERWISE)).proposal == PROPOSAL
    assert (await now_is(book, first)).proposal == PROPOSAL


async def test_the_same_in_another_workspace_is_another_card(book: CardBook) -> None:
    here = await again(book, PROPOSAL)
    there = await again(book, PROPOSAL, Place("C1", "staging"))
    assert (here.workspace, there.workspace) == ("prod", "staging")
    assert here.id != there.id


# -- confirming


async def test_a_confirmed_card_is_done_and_tells_what_came_of_it(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    result = await press(book, card, ANN)
    assert hands.done == [(PROPOSAL, f"ask-marvin:{card.id}", ANN.id)]
    assert result.receipt == hands.ends
    assert result.refusal == ""
    assert result.card == await now_is(book, card)
    assert (result.card.state, result.card.decided_by) == ("done", ANN.id)
    assert (result.card.outcome, result.card.outcome_url) == ("Run brave-bee was created.", "http://ui/1")
    assert await decisions(engine, card.id) == [(ANN.id, "proposed"), (ANN.id, "confirmed"), (ANN.id, "done")]


async def test_another_operator_than_the_asker_may_confirm(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    result = await press(book, card, BOB)
    assert (result.card.state, result.card.asked_by, result.card.decided_by) == ("done", ANN.id, BOB.id)
    assert hands.done[0][2] == BOB.id
    assert (await decisions(engine, card.id))[1:] == [(BOB.id, "confirmed"), (BOB.id, "done")]


async def test_progress_reaches_whoever_shows_it(book: CardBook, card: Card) -> None:
    seen: list[Progress] = []

    async def report(progress: Progress) -> None:
        seen.append(progress)

    await book.confirm(card, ANN, report=report)
    assert [progress.source for progress in seen] == ["docs"]


async def test_the_user_of_the_terminal_confirms_as_well(book: CardBook) -> None:
    card = await book.propose(PROPOSAL, LOCAL, "local:1", HERE)
    assert (await press(book, card, LOCAL)).card.state == "done"


async def test_the_audit_tells_when_who_what_where_and_why(engine: AsyncEngine, hands: Hands) -> None:
    book = book_on(engine, hands)
    hands.ends = Receipt(ok=False, text="x" * 2 * MAX_DETAIL)
    card = await book.propose(PROPOSAL, ANN, THREAD, HERE)
    await press(book, card, BOB)
    async with engine.connect() as connection:
        row = (await connection.execute(select(audit).order_by(audit.c.id.desc()).limit(1))).one()
    assert (row.team, row.user_id, row.workspace) == ("T1", BOB.id, "prod")
    assert (row.action, row.target, row.decision) == ("trigger_run", "etl/nightly", "failed")
    assert row.detail == "x" * MAX_DETAIL
    assert timedelta() <= now() - row.at < timedelta(minutes=5)


# -- refusals


@pytest.mark.parametrize("person", [VERA, GUEST], ids=["a viewer", "a guest"])
async def test_pressed_by_somebody_without_the_role_nothing_happens_and_the_card_stays_open(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine, person: Person
) -> None:
    result = await press(book, card, person)
    assert "needs the role operator" in result.refusal
    assert result.receipt is None
    assert result.card.state == "open"
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(person.id, "refused")]
    assert await last_detail(engine) == result.refusal
    assert (await press(book, card, ANN)).card.state == "done"


async def test_a_role_that_was_taken_away_since_the_asking_is_missing_at_the_press(
    engine: AsyncEngine, card: Card, hands: Hands
) -> None:
    result = await press(book_on(engine, hands, NOBODY), card, ANN)
    assert "needs the role operator" in result.refusal
    assert hands.done == []


ETL = Affected(deployment="etl/nightly", tags=("team-a",), work_pool="k8s-prod")
ADHOC = Affected(deployment="adhoc/try", tags=("team-b",), work_pool="local")
ON_ETL = PROPOSAL.model_copy(update={"affected": (ETL,)})
ON_BOTH = PROPOSAL.model_copy(update={"affected": (ETL, ADHOC)})


def allowing(*who: str, **limits: Any) -> Policy:
    """A policy whose only rule lets these people start runs, within the limits."""
    rule = Rule(who=who, actions=("trigger_run",), **{name: (value,) for name, value in limits.items()})
    return Policy(Rules(VIEWERS, (rule,)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"tags": "team-a"}, {"tags": "team-b"}, id="tag"),
        pytest.param({"deployments": "etl/*"}, {"deployments": "ml/*"}, id="deployment"),
        pytest.param({"work_pools": "k8s-*"}, {"work_pools": "local"}, id="work pool"),
        pytest.param({"workspaces": "prod"}, {"workspaces": "dev"}, id="workspace"),
        pytest.param({"channels": "C1"}, {"channels": "C2"}, id="channel"),
    ],
)
async def test_a_rule_is_asked_when_the_card_is_made_and_again_at_the_press(
    engine: AsyncEngine, hands: Hands, before: dict[str, str], after: dict[str, str]
) -> None:
    strict = book_on(engine, hands, allowing(ANN.id, **after))
    with pytest.raises(Refused):
        await strict.propose(ON_ETL, ANN, THREAD, HERE)
    card = await book_on(engine, hands, allowing(ANN.id, **before)).propose(ON_ETL, ANN, THREAD, HERE)
    refused = await press(strict, card, ANN)
    assert "start runs of etl/nightly" in refused.refusal
    assert (refused.card.state, hands.done) == ("open", [])
    done = await press(book_on(engine, hands, allowing(BOB.id, **before)), card, BOB)
    assert done.card.state == "done"


async def test_all_that_a_card_is_about_has_to_be_allowed(engine: AsyncEngine, hands: Hands) -> None:
    book = book_on(engine, hands, allowing(ANN.id, tags="team-a"))
    with pytest.raises(Refused, match="adhoc/try") as raised:
        await book.propose(ON_BOTH, ANN, THREAD, HERE)
    assert "etl/nightly" not in str(raised.value)
    assert "1 of the 2" in str(raised.value)


async def test_what_was_taken_away_in_the_file_since_is_refused_at_the_press(
    engine: AsyncEngine, hands: Hands, tmp_path: Path
) -> None:
    time = 0.0
    file = tmp_path / "policy.toml"
    file.write_text(f'[roles]\noperator = ["{ANN.id}", "{BOB.id}"]\n')
    book = book_on(engine, hands, Policy.load(file, clock=lambda: time))
    card = await book.propose(ON_ETL, ANN, THREAD, HERE)
    file.write_text(f'[roles]\noperator = ["{BOB.id}"]\n')
    time += LOOK_EVERY_S
    assert f"{BOB.id} could do it" in (await press(book, card, ANN)).refusal
    assert hands.done == []
    assert (await press(book, card, BOB)).card.state == "done"


async def test_a_press_is_judged_by_where_the_message_stands(engine: AsyncEngine, hands: Hands) -> None:
    book = book_on(engine, hands, allowing(ANN.id, channels="C1"))
    card = await book.propose(ON_ETL, ANN, THREAD, HERE)
    await book.placed(card.id, channel="D1", ts="2.0")
    assert "only in C1" in (await press(book, card, ANN)).refusal
    await book.placed(card.id, channel="C1", ts="2.0")
    assert (await press(book, card, ANN)).card.state == "done"


async def test_a_channel_that_is_for_looking_only_stops_an_open_card(
    engine: AsyncEngine, card: Card, hands: Hands
) -> None:
    looking = Rules({**VIEWERS, Role.ADMIN: frozenset({ANN.id})}, channels={"C1": Level.LOOK})
    assert "nothing is changed" in (await press(book_on(engine, hands, Policy(looking)), card, ANN)).refusal
    assert hands.done == []


async def test_a_guest_presses_only_where_a_rule_has_their_own_id(
    engine: AsyncEngine, card: Card, hands: Hands
) -> None:
    everybody = book_on(engine, hands, allowing("*", "viewer"))
    assert "Only full members" in (await press(everybody, card, GUEST)).refusal
    assert hands.done == []
    named = await press(book_on(engine, hands, allowing(GUEST.id)), card, GUEST)
    assert (named.card.state, named.card.decided_by) == ("done", GUEST.id)


async def test_what_was_refused_before_there_was_a_card_is_in_the_audit(
    book: CardBook, engine: AsyncEngine
) -> None:
    with pytest.raises(Refused):
        await book.propose(PROPOSAL, VERA, THREAD, HERE)
    (entry,), _ = await Audit(engine).latest(Wanted())
    assert (entry.user_id, entry.decision, entry.card_id) == (VERA.id, "refused", "")
    assert (entry.target, entry.channel, entry.workspace) == ("etl/nightly", "C1", "prod")
    assert "needs the role operator" in entry.detail


async def test_pressed_by_somebody_of_another_team_nothing_happens(
    engine: AsyncEngine, card: Card, hands: Hands
) -> None:
    everybody_may = Policy(Rules(dict.fromkeys((Role.ADMIN, Role.OPERATOR, Role.VIEWER), frozenset({"*"}))))
    book = book_on(engine, hands, everybody_may)
    for result in (await press(book, card, STRANGER), await book.decline(card, STRANGER)):
        assert "another Slack workspace" in result.refusal
        assert result.card.state == "open"
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(STRANGER.id, "refused")] * 2


async def test_pressed_twice_it_is_done_once(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    await press(book, card, ANN)
    second = await press(book, card, BOB)
    assert "only once" in second.refusal
    assert second.card.state == "done"
    assert len(hands.done) == 1
    assert (await decisions(engine, card.id))[3:] == [(BOB.id, "refused")]


async def test_pressed_at_the_same_moment_at_two_replicas_it_is_done_once(
    engine: AsyncEngine, replica: AsyncEngine, card: Card, hands: Hands
) -> None:
    both_have_checked = asyncio.Barrier(2)
    hands.before_check = both_have_checked.wait
    async with asyncio.timeout(PATIENCE_S):
        results = await asyncio.gather(
            press(book_on(engine, hands), card, ANN), press(book_on(replica, hands), card, BOB)
        )
    assert len(hands.done) == 1
    assert sorted(bool(result.refusal) for result in results) == [False, True]
    assert sorted(decision for _, decision in await decisions(engine, card.id)) == [
        "confirmed",
        "done",
        "proposed",
        "refused",
    ]


async def test_pressed_while_it_is_being_done_it_is_said_so(book: CardBook, card: Card, hands: Hands) -> None:
    hands.go_on = asyncio.Event()
    first = asyncio.create_task(press(book, card, ANN))
    async with asyncio.timeout(PATIENCE_S):
        await hands.started.wait()
        second = await press(book, card, BOB)
        assert "it is being done" in second.refusal
        assert second.card.state == "running"
        hands.go_on.set()
        assert (await first).card.state == "done"
    assert len(hands.done) == 1


async def test_pressed_too_late_nothing_happens(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    await change(engine, card, expires_at=now())
    result = await press(book, card, ANN)
    assert "expired" in result.refusal
    assert (result.card.state, result.card.decided_by) == ("expired", "")
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "refused")]


async def test_a_card_that_expires_while_it_is_checked_is_not_done(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    async def time_passes() -> None:
        await change(engine, card, expires_at=now())
        await book.expire_due()

    hands.before_check = time_passes
    result = await press(book, card, ANN)
    assert "expired" in result.refusal
    assert hands.done == []


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Changed("The deployment was changed since.", "Ask again."), id="changed"),
        pytest.param(NotFound("There is no deployment etl/nightly."), id="deleted"),
    ],
)
async def test_after_the_deployment_changed_nothing_happens_and_the_card_is_closed(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine, error: ExpectedError
) -> None:
    hands.finds = error
    result = await press(book, card, ANN)
    assert result.receipt == Receipt(ok=False, text=str(error))
    assert (result.card.state, result.card.outcome) == ("refused", str(error))
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "refused")]
    assert await last_detail(engine) == str(error)
    hands.finds = None
    assert "only once" in (await press(book, card, ANN)).refusal


async def test_a_late_check_does_not_spoil_what_somebody_else_got_done(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    async def somebody_is_quicker() -> None:
        hands.before_check = None
        await press(book, card, BOB)
        hands.finds = Changed("The runs were cancelled since.")

    hands.before_check = somebody_is_quicker
    result = await press(book, card, ANN)
    assert "only once" in result.refusal
    assert (result.card.state, result.card.decided_by) == ("done", BOB.id)


async def test_while_prefect_is_away_nothing_happens_and_the_card_stays_open(
    book: CardBook, card: Card, hands: Hands
) -> None:
    hands.finds = Unreachable("Prefect does not answer.", "Try again.")
    result = await press(book, card, ANN)
    assert result.refusal == "Prefect does not answer. Try again."
    assert result.card.state == "open"
    hands.finds = None
    assert (await press(book, card, ANN)).card.state == "done"


async def test_a_check_that_breaks_off_does_nothing_and_is_in_the_audit(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    hands.finds = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await press(book, card, ANN)
    assert (await now_is(book, card)).state == "open"
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "failed")]


# -- the knowledge base: one at a time, and a way back

REINDEX = Proposal(action="reindex_knowledge", title="Fetch all sources again", target="all sources")
BACK = Proposal(action="rollback_knowledge", title="Go back", target="generation 1")
IN_USE = Busy("The index is already being built by process 7 on elsewhere.", "Wait.")
ADMINS = Policy(
    Rules({Role.ADMIN: frozenset({"U1ANN", "U2BOB"}), Role.OPERATOR: frozenset(), Role.VIEWER: frozenset()})
)


@pytest.fixture
def admins(engine: AsyncEngine, hands: Hands) -> CardBook:
    return book_on(engine, hands, ADMINS)


async def test_while_the_index_is_built_elsewhere_there_is_no_card(admins: CardBook, hands: Hands) -> None:
    hands.busy = IN_USE
    with pytest.raises(StillRunning, match="process 7 on elsewhere") as raised:
        await admins.propose(REINDEX, ANN, THREAD, HERE)
    assert raised.value.card is None


async def test_who_of_the_team_has_begun_is_told_and_the_card_stays_open(
    admins: CardBook, hands: Hands, engine: AsyncEngine
) -> None:
    first, second = [await admins.propose(REINDEX, person, THREAD, HERE) for person in (ANN, BOB)]
    await change(engine, first, state="running", decided_by=ANN.id, decided_at=now())
    for result in (await press(admins, second, BOB), await press(admins, second, BOB)):
        assert result.running == await now_is(admins, first)
        assert ANN.id in result.refusal
        assert result.card.state == "open"
    with pytest.raises(StillRunning) as raised:
        await admins.propose(BACK, BOB, THREAD, HERE)
    assert raised.value.card == await now_is(admins, first)
    await change(engine, first, state="done")
    assert (await press(admins, second, BOB)).card.state == "done"


async def test_a_card_that_was_cut_off_a_while_ago_holds_up_nobody(
    admins: CardBook, engine: AsyncEngine
) -> None:
    first, second = [await admins.propose(REINDEX, person, THREAD, HERE) for person in (ANN, BOB)]
    await change(engine, first, state="running", decided_by=ANN.id, decided_at=now() - 2 * START_UP)
    assert (await press(admins, second, BOB)).card.state == "done"


async def test_when_somebody_is_quicker_to_build_the_card_is_as_good_as_before(
    admins: CardBook, hands: Hands, engine: AsyncEngine
) -> None:
    card = await admins.propose(REINDEX, ANN, THREAD, HERE)
    hands.ends = IN_USE
    result = await press(admins, card, ANN)
    assert "process 7" in result.refusal
    assert (result.card.state, result.card.decided_by, result.card.decided_at) == ("open", "", None)
    hands.ends = Receipt(ok=True, text="Done.")
    assert (await press(admins, card, ANN)).card.state == "done"


@pytest.mark.parametrize("short", ["partly", "held_back"])
async def test_what_fell_short_is_not_called_done(
    admins: CardBook, hands: Hands, engine: AsyncEngine, short: Any
) -> None:
    details = (
        Detail(text="docs: 12 added", links=(Link(title="New", url="https://x.example/new"),), more=11),
    )
    hands.ends = Receipt(ok=short == "partly", text="Not all.", short=short, details=details)
    card = await admins.propose(REINDEX, ANN, THREAD, HERE)
    result = await press(admins, card, ANN)
    assert (result.card.state, result.card.details) == (short, details)
    assert (await decisions(engine, card.id))[-1] == (ANN.id, short)


async def test_a_receipt_with_a_way_back_makes_a_card_in_the_same_message(
    admins: CardBook, hands: Hands, engine: AsyncEngine
) -> None:
    hands.ends = Receipt(ok=True, text="Done.", undo=BACK)
    card = await admins.propose(REINDEX, ANN, THREAD, HERE)
    await admins.placed(card.id, channel="C1", ts="2.0")
    undo = (await press(admins, card, ANN)).card.undo
    assert (undo.proposal, undo.state, undo.undoes) == (BACK, "open", card.id)
    assert (undo.message_channel, undo.message_ts) == ("C1", "2.0")
    hands.ends = Receipt(ok=True, text="Generation 1 is live.", undo=REINDEX)
    result = await press(admins, undo, BOB)
    assert result.card.undo is None, "a third card would stand in no message"
    assert (result.card.state, result.card.decided_by) == ("done", BOB.id)
    shown = await admins.in_message(result.card)
    assert (shown.id, shown.state) == (card.id, "done")
    assert shown.undo == result.card
    assert "only once" in (await press(admins, undo, ANN)).refusal
    assert [decision for _, decision in await decisions(engine, undo.id)] == [
        "proposed",
        "confirmed",
        "done",
        "refused",
    ]


async def test_a_way_back_is_closed_when_its_time_is_over(
    admins: CardBook, hands: Hands, engine: AsyncEngine
) -> None:
    hands.ends = Receipt(ok=True, text="Done.", undo=BACK)
    card = await admins.propose(REINDEX, ANN, THREAD, HERE)
    await admins.placed(card.id, channel="C1", ts="2.0")
    undo = (await press(admins, card, ANN)).card.undo
    assert undo.expires_at - now() > EXPIRY
    await change(engine, undo, expires_at=now())
    assert [closed.id for closed in await admins.expire_due()] == [undo.id]
    assert (await admins.in_message(undo)).undo.state == "expired"  # type: ignore[union-attr]


async def test_what_nobody_ended_is_closed_as_unclear(
    admins: CardBook, hands: Hands, engine: AsyncEngine
) -> None:
    card = await admins.propose(REINDEX, ANN, THREAD, HERE)
    long_ago = now() - CUT_OFF - timedelta(seconds=1)
    await change(engine, card, state="running", decided_by=ANN.id, decided_at=long_ago, message_ts="2.0")
    assert [closed.state for closed in await admins.expire_due()] == ["unclear"]
    assert await admins.expire_due() == []
    assert (await decisions(engine, card.id))[-1] == (ANN.id, "unclear")


# -- declining


async def test_the_asker_may_decline_even_with_no_role_left(
    engine: AsyncEngine, card: Card, hands: Hands
) -> None:
    book = book_on(engine, hands, NOBODY)
    result = await book.decline(card, ANN)
    assert (result.card.state, result.card.decided_by, result.refusal) == ("declined", ANN.id, "")
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "declined")]


async def test_whoever_could_confirm_may_decline(book: CardBook, card: Card) -> None:
    result = await book.decline(card, BOB)
    assert (result.card.state, result.card.decided_by) == ("declined", BOB.id)


async def test_nobody_else_may_decline(book: CardBook, card: Card, engine: AsyncEngine) -> None:
    result = await book.decline(card, VERA)
    assert "needs the role operator" in result.refusal
    assert (await now_is(book, card)).state == "open"
    assert (await decisions(engine, card.id))[1:] == [(VERA.id, "refused")]


async def test_a_declined_card_cannot_be_confirmed_or_declined_again(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    await book.decline(card, ANN)
    for result in (await press(book, card, BOB), await book.decline(card, BOB)):
        assert "cancelled before" in result.refusal
        assert result.card.state == "declined"
    assert hands.done == []
    assert (await decisions(engine, card.id))[2:] == [(BOB.id, "refused")] * 2


async def test_what_was_done_cannot_be_declined(book: CardBook, card: Card) -> None:
    await press(book, card, ANN)
    result = await book.decline(card, ANN)
    assert "only once" in result.refusal
    assert result.card.state == "done"


# -- what goes wrong on the way


@pytest.mark.parametrize(
    "ends",
    [
        pytest.param(Refused("Prefect says no.", "Look at it."), id="raised"),
        pytest.param(Receipt(ok=False, text="Prefect says no. Look at it."), id="told"),
    ],
)
async def test_a_deed_that_fails_says_why(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine, ends: Receipt | ExpectedError
) -> None:
    hands.ends = ends
    result = await press(book, card, ANN)
    assert result.receipt == Receipt(ok=False, text="Prefect says no. Look at it.")
    assert (result.card.state, result.card.outcome) == ("failed", "Prefect says no. Look at it.")
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "confirmed"), (ANN.id, "failed")]
    await press(book, card, ANN)
    assert len(hands.done) == 1


async def test_a_refusal_that_names_a_secret_is_kept_without_it(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    hands.ends = BadInput(
        "Prefect refused the request: https://ann:hunter2hunter2@db.example.com is no path."
    )
    ended = (await press(book, card, BOB)).card
    other = await book.propose(PROPOSAL, ANN, THREAD, HERE)
    hands.finds = Changed("Not as it was: token=ghp_" + "a1B2" * 9)
    refused = (await press(book, other, BOB)).card
    assert (ended.state, refused.state) == ("failed", "refused")
    assert "hunter2hunter2" not in ended.outcome
    assert "a1B2" not in refused.outcome + await last_detail(engine)


async def test_a_deed_whose_answer_got_lost_is_unclear_and_never_done_again(
    book: CardBook, card: Card, hands: Hands
) -> None:
    hands.ends = Unreachable("Prefect does not answer.", "Try again.")
    result = await press(book, card, ANN)
    assert result.card.state == "unclear"
    assert "not known how it ended" in result.card.outcome
    await press(book, card, ANN)
    assert len(hands.done) == 1


async def test_a_deed_that_breaks_off_is_unclear_and_never_done_again(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    hands.ends = ZeroDivisionError("something secret")
    with pytest.raises(ZeroDivisionError):
        await press(book, card, ANN)
    found = await now_is(book, card)
    assert found.state == "unclear"
    assert "not known how it ended" in found.outcome
    assert "secret" not in found.outcome
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "confirmed"), (ANN.id, "unclear")]
    assert "only once" in (await press(book, card, ANN, resumed=True)).refusal
    assert len(hands.done) == 1


async def test_a_deed_that_is_cancelled_is_unclear_and_never_done_again(
    book: CardBook, card: Card, hands: Hands
) -> None:
    hands.go_on = asyncio.Event()
    pressing = asyncio.create_task(press(book, card, ANN))
    async with asyncio.timeout(PATIENCE_S):
        await hands.started.wait()
        pressing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pressing
    assert (await now_is(book, card)).state == "unclear"
    assert "only once" in (await press(book, card, ANN)).refusal
    assert len(hands.done) == 1


async def test_a_press_that_its_process_died_of_is_unclear_and_not_done_again(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    await change(engine, card, state="running", decided_by=ANN.id, decided_at=now())
    result = await press(book, card, ANN, resumed=True)
    assert result.card.state == "unclear"
    assert "not done again" in result.card.outcome
    assert result.receipt == Receipt(ok=False, text=result.card.outcome)
    assert result.card.decided_by == ANN.id
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(ANN.id, "unclear")]
    assert "only once" in (await press(book, card, ANN, resumed=True)).refusal


async def test_a_press_that_its_process_died_of_before_it_started_is_done(
    book: CardBook, card: Card, hands: Hands
) -> None:
    assert (await press(book, card, ANN, resumed=True)).card.state == "done"
    assert len(hands.done) == 1


async def test_somebody_elses_resumed_press_does_not_touch_what_is_being_done(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    await change(engine, card, state="running", decided_by=ANN.id, decided_at=now())
    result = await press(book, card, BOB, resumed=True)
    assert "it is being done" in result.refusal
    assert result.card.state == "running"


async def test_what_has_been_running_for_far_too_long_is_unclear(
    book: CardBook, card: Card, hands: Hands, engine: AsyncEngine
) -> None:
    long_ago = now() - CUT_OFF - timedelta(seconds=1)
    await change(engine, card, state="running", decided_by=ANN.id, decided_at=long_ago)
    result = await press(book, card, BOB)
    assert (result.card.state, result.card.decided_by) == ("unclear", ANN.id)
    assert hands.done == []
    assert (await decisions(engine, card.id))[1:] == [(BOB.id, "unclear")]


# -- the end of a card's time


async def test_cards_past_their_time_are_closed_and_those_that_are_shown_are_given_back(
    book: CardBook, engine: AsyncEngine
) -> None:
    shown, hidden, young = [await book.propose(PROPOSAL, ANN, THREAD, HERE) for _ in range(3)]
    for card in (shown, young):
        await book.placed(card.id, channel="C1", ts="2.0")
    for card in (shown, hidden):
        await change(engine, card, expires_at=now())
    assert await book.expire_due() == [await now_is(book, shown)]
    found = [(await now_is(book, card)).state for card in (shown, hidden, young)]
    assert found == ["expired", "expired", "open"]
    assert await book.expire_due() == []


@pytest.mark.parametrize("state", ["running", "done", "failed", "declined", "refused", "unclear"])
async def test_a_decided_card_does_not_expire(
    book: CardBook, card: Card, engine: AsyncEngine, state: CardState
) -> None:
    await book.placed(card.id, channel="C1", ts="2.0")
    await change(engine, card, state=state, expires_at=now())
    assert await book.expire_due() == []
    assert (await now_is(book, card)).state == state


async def test_of_two_replicas_one_closes_a_card(
    engine: AsyncEngine, replica: AsyncEngine, hands: Hands
) -> None:
    books = [book_on(engine, hands), book_on(replica, hands)]
    for _ in range(10):
        card = await books[0].propose(PROPOSAL, ANN, THREAD, HERE)
        await change(engine, card, expires_at=now(), message_ts="2.0")
    closed = await asyncio.gather(*(book.expire_due() for book in books * 2))
    ids = [card.id for some in closed for card in some]
    assert len(ids) == len(set(ids)) == 10


async def test_old_cards_are_purged_and_their_audit_stays(
    book: CardBook, card: Card, engine: AsyncEngine
) -> None:
    young = await book.propose(PROPOSAL, ANN, THREAD, HERE)
    await change(engine, card, created_at=now() - timedelta(days=31))
    await book.purge(timedelta(days=30))
    assert await book.get(card.id, card.team) is None
    assert await book.get(young.id, young.team) == young
    assert await decisions(engine, card.id) == [(ANN.id, "proposed")]
