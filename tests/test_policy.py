"""The policy: who may do what where, what a refusal says, and what is said about a file that is wrong."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.people import LOCAL, Person
from bot.policy.policy import LOOK_EVERY_S, Policy
from bot.policy.rules import KNOWLEDGE_ACTIONS, ROLE_FOR_ACTION, Role
from bot.question import Place
from knowledge.errors import BadInput, Refused
from knowledge.library import Library
from tools.catalog import build_toolbox
from tools.prefect_client import PrefectClient
from tools.proposal import Affected, Proposal

ANN = Person(id="U1ANN", team="T1")
GUEST = Person(id="U2GUEST", team="T1", is_guest=True)
EXTERNAL = Person(id="U3EXTERNAL", team="T1", is_external=True)
BOSS = Person(id="U4BOSS", team="T1", is_workspace_admin=True)
ON_CALL = Person(id="U5CALL", team="T1", groups=frozenset({"S1ONCALL"}))
ROOT = Person(id="U6ROOT", team="T1")

OPS = Place("C0OPS", "prod")
DIRECT = Place("D0ANN", "prod")
ETL = Affected(deployment="etl/nightly", tags=("team-a", "eu"), work_pool="k8s-prod")
REPORT = Affected(deployment="report/daily", tags=("team-b",), work_pool="local")
POOL = Affected(work_pool="k8s-prod")

EVERYBODY = """
[roles]
admin = ["U1ANN"]
operator = ["S1ONCALL", "U2GUEST"]
viewer = ["*"]
"""
ROLES = '[roles]\nadmin = ["U6ROOT"]\noperator = ["S1ONCALL"]\nviewer = ["*"]\n'

Load = Callable[[str], Policy]


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


@pytest.fixture
def load(policy_file: Path) -> Load:
    """The policy of a file with that text; only prod and dev are workspaces."""

    def make(text: str) -> Policy:
        policy_file.write_text(text, encoding="utf-8")
        return Policy.load(policy_file, workspaces=("prod", "dev"))

    return make


def rule(who: str = '"*"', actions: str = '"cancel_runs"', **limits: str) -> str:
    """One rule; every limit is a list with one member."""
    lines = [f"who = [{who}]", f"actions = [{actions}]"]
    lines += [f'{name} = ["{value}"]' for name, value in limits.items()]
    return "\n".join(["", "[[rule]]", *lines, ""])


def proposal(action: str, *affected: Affected) -> Proposal:
    return Proposal(action=action, title="Do it", target="it", affected=affected)


def refusal(policy: Policy, person: Person, wanted: Proposal, place: Place = OPS) -> str:
    """What a person is told, or nothing where it is allowed."""
    try:
        policy.check(person, wanted, place)
    except Refused as error:
        return str(error)
    return ""


CANCEL = proposal("cancel_runs", ETL)


# -- roles


@pytest.mark.parametrize(
    ("person", "role"),
    [
        pytest.param(ANN, Role.VIEWER, id="a member"),
        pytest.param(BOSS, Role.ADMIN, id="an admin or owner of the workspace"),
        pytest.param(GUEST, Role.DOCS_ONLY, id="a guest"),
        pytest.param(EXTERNAL, Role.DOCS_ONLY, id="somebody from outside"),
        pytest.param(LOCAL, Role.ADMIN, id="the user of this machine"),
        pytest.param(
            Person(id="U6", team="T2", is_external=True, is_workspace_admin=True),
            Role.DOCS_ONLY,
            id="an admin of somebody else's workspace",
        ),
    ],
)
def test_without_a_file_only_admins_of_the_workspace_may_act(person: Person, role: Role) -> None:
    policy = Policy.load(None)
    assert policy.role(person) is role
    assert (refusal(policy, person, CANCEL) == "") is (role is Role.ADMIN)


@pytest.mark.parametrize(
    ("person", "role"),
    [
        pytest.param(ANN, Role.ADMIN, id="named"),
        pytest.param(ON_CALL, Role.OPERATOR, id="in a named group"),
        pytest.param(BOSS, Role.VIEWER, id="every full member, and no more for an admin of the workspace"),
        pytest.param(GUEST, Role.OPERATOR, id="a guest who is named"),
        pytest.param(EXTERNAL, Role.DOCS_ONLY, id="somebody from outside who is not named"),
        pytest.param(LOCAL, Role.ADMIN, id="the user of this machine"),
    ],
)
def test_with_a_file_it_alone_gives_roles(load: Load, person: Person, role: Role) -> None:
    assert load(EVERYBODY).role(person) is role


def test_who_is_not_named_gets_the_docs_only(load: Load) -> None:
    policy = load('[roles]\noperator = ["U1ANN"]')
    assert policy.role(BOSS) is Role.DOCS_ONLY
    assert not policy.may_look(BOSS, OPS)


def test_every_member_does_not_mean_guests_and_people_from_outside(load: Load) -> None:
    policy = load('[roles]\nadmin = ["*"]')
    assert [policy.role(person) for person in (ANN, GUEST, EXTERNAL)] == [
        Role.ADMIN,
        Role.DOCS_ONLY,
        Role.DOCS_ONLY,
    ]


def test_who_has_several_roles_has_the_highest(load: Load) -> None:
    policy = load('[roles]\nviewer = ["U5CALL"]\noperator = ["S1ONCALL"]')
    assert policy.role(ON_CALL) is Role.OPERATOR


@pytest.mark.parametrize("action", [*ROLE_FOR_ACTION, "an_action_that_nobody_listed"])
def test_without_rules_a_role_allows_what_is_listed_for_it_and_below(load: Load, action: str) -> None:
    needed = Role.ADMIN if action in (*KNOWLEDGE_ACTIONS, "an_action_that_nobody_listed") else Role.OPERATOR
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        said = refusal(load(f'[roles]\n{role.label} = ["U1ANN"]'), ANN, proposal(action, ETL))
        assert (said == "") is (role >= needed)
        assert said == "" or f"needs the role {needed.label}, and you are {role.label}" in said


async def test_every_action_of_the_toolbox_has_a_role(tmp_path: Path) -> None:
    async with PrefectClient(None) as prefect:
        tools = build_toolbox(prefect, Library(tmp_path, None), ()).tools.values()  # type: ignore[arg-type]
        actions = {tool.name for tool in tools if tool.writes}
    assert actions
    assert actions <= set(ROLE_FOR_ACTION)


def test_a_refusal_names_the_role_that_is_missing_and_who_has_it(load: Load) -> None:
    assert "docs only" in refusal(Policy(), GUEST, CANCEL)
    assert "S1ONCALL and U6ROOT could" in refusal(load(ROLES), ANN, CANCEL)


# -- rules


@pytest.mark.parametrize(
    ("text", "person", "wanted", "place", "allowed"),
    [
        pytest.param(rule('"U1ANN"'), ANN, CANCEL, OPS, True, id="a person by id"),
        pytest.param(rule('"U9ELSE"'), ANN, CANCEL, OPS, False, id="somebody else's id"),
        pytest.param(rule('"S1ONCALL"'), ON_CALL, CANCEL, OPS, True, id="a group"),
        pytest.param(rule('"S1ONCALL"'), ANN, CANCEL, OPS, False, id="not in the group"),
        pytest.param(rule('"operator"'), ON_CALL, CANCEL, OPS, True, id="a role"),
        pytest.param(rule('"operator"'), ANN, CANCEL, OPS, False, id="a lower role"),
        pytest.param(rule('"viewer"'), ON_CALL, CANCEL, OPS, True, id="a higher role"),
        pytest.param(rule(), ANN, CANCEL, OPS, True, id="every member"),
        pytest.param(rule(), GUEST, CANCEL, OPS, False, id="every member is no guest"),
        pytest.param(rule(), EXTERNAL, CANCEL, OPS, False, id="every member is nobody from outside"),
        pytest.param(rule('"U2GUEST"'), GUEST, CANCEL, OPS, True, id="a guest by id"),
        pytest.param(rule('"U9ELSE"'), ON_CALL, CANCEL, OPS, False, id="an operator without a rule"),
        pytest.param(rule('"U9ELSE"'), ROOT, CANCEL, OPS, True, id="an admin without a rule"),
        pytest.param(rule('"U9ELSE"'), LOCAL, CANCEL, Place(), True, id="the terminal"),
        pytest.param(rule(actions='"retry_run"'), ANN, CANCEL, OPS, False, id="another action"),
        pytest.param(rule(actions='"*"'), ANN, CANCEL, OPS, True, id="any action"),
        pytest.param(
            rule(actions='"*"'), ANN, proposal("reindex_knowledge"), OPS, False, id="any but knowledge's"
        ),
        pytest.param(
            rule(actions='"reindex_knowledge"'), ANN, proposal("reindex_knowledge"), OPS, True, id="knowledge"
        ),
        pytest.param(
            rule(actions='"*"'), ANN, proposal("unlisted", ETL), OPS, False, id="any but what is not known"
        ),
        pytest.param(rule(workspaces="prod"), ANN, CANCEL, OPS, True, id="the workspace"),
        pytest.param(rule(workspaces="dev"), ANN, CANCEL, OPS, False, id="another workspace"),
        pytest.param(rule(channels="C0OPS"), ANN, CANCEL, OPS, True, id="the channel"),
        pytest.param(rule(channels="C1OTHER"), ANN, CANCEL, OPS, False, id="another channel"),
        pytest.param(rule(channels="C0OPS"), ANN, CANCEL, DIRECT, False, id="a channel is not direct"),
        pytest.param(rule(channels="direct"), ANN, CANCEL, DIRECT, True, id="direct"),
        pytest.param(rule(channels="direct"), ANN, CANCEL, OPS, False, id="direct is no channel"),
        pytest.param(rule(tags="team-a"), ANN, CANCEL, OPS, True, id="a tag"),
        pytest.param(rule(tags="team-*"), ANN, CANCEL, OPS, True, id="a pattern of tags"),
        pytest.param(rule(tags="team"), ANN, CANCEL, OPS, False, id="a part of a tag"),
        pytest.param(rule(tags="Team-a"), ANN, CANCEL, OPS, False, id="a tag in another case"),
        pytest.param(rule(tags="*"), ANN, proposal("cancel_runs", POOL), OPS, False, id="no tags at all"),
        pytest.param(rule(deployments="etl/*"), ANN, CANCEL, OPS, True, id="a flow's deployments"),
        pytest.param(rule(deployments="etl/night??"), ANN, CANCEL, OPS, True, id="single characters"),
        pytest.param(rule(deployments="etl"), ANN, CANCEL, OPS, False, id="a part of a name"),
        pytest.param(rule(deployments="ml/*"), ANN, CANCEL, OPS, False, id="another flow"),
        pytest.param(
            rule(deployments="*"), ANN, proposal("cancel_runs", POOL), OPS, False, id="no deployment"
        ),
        pytest.param(rule(work_pools="k8s-*"), ANN, CANCEL, OPS, True, id="a work pool"),
        pytest.param(rule(work_pools="local"), ANN, CANCEL, OPS, False, id="another work pool"),
        pytest.param(
            rule(tags="team-a", work_pools="local"), ANN, CANCEL, OPS, False, id="all limits have to hold"
        ),
        pytest.param(
            rule(tags="team-a"), ANN, proposal("cancel_runs", ETL, REPORT), OPS, False, id="a part of many"
        ),
        pytest.param(
            rule(tags="team-a") + rule(tags="team-b"),
            ANN,
            proposal("cancel_runs", ETL, REPORT),
            OPS,
            True,
            id="several rules together",
        ),
        pytest.param(rule(), ANN, proposal("cancel_runs"), OPS, True, id="nothing named, no limit"),
        pytest.param(
            rule(deployments="*"), ANN, proposal("cancel_runs"), OPS, False, id="nothing named, a limit"
        ),
    ],
)
def test_with_rules_only_a_rule_allows(
    load: Load, text: str, person: Person, wanted: Proposal, place: Place, allowed: bool
) -> None:
    assert (refusal(load(ROLES + text), person, wanted, place) == "") is allowed


def test_a_guest_who_has_a_role_by_name_still_needs_a_rule_of_their_own(load: Load) -> None:
    roles = '[roles]\nadmin = ["U2GUEST"]\nviewer = ["*"]\n'
    assert refusal(load(roles), GUEST, CANCEL) == ""
    assert refusal(load(roles + rule('"admin", "*"')), GUEST, CANCEL)
    assert refusal(load(roles + rule('"U2GUEST"')), GUEST, CANCEL) == ""


def test_a_group_does_not_let_a_guest_act(load: Load) -> None:
    guest = replace(GUEST, groups=frozenset({"S1ONCALL"}))
    policy = load(ROLES + rule('"S1ONCALL"'))
    assert refusal(policy, guest, CANCEL)
    assert policy.role(guest) is Role.DOCS_ONLY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            rule('"S1ONCALL", "operator"'),
            "Only S1ONCALL and operators may cancel runs of etl/nightly (tagged team-a, eu; work pool k8s-prod). "
            "Ask one of them.",
            id="who may",
        ),
        pytest.param(
            rule('"U1ANN"', channels="C1OTHER", workspaces="prod"),
            "You may cancel runs of etl/nightly (tagged team-a, eu; work pool k8s-prod) only in C1OTHER, in the "
            "workspace prod. Ask there.",
            id="where",
        ),
        pytest.param(
            rule('"S1ONCALL"', channels="direct"),
            "Only S1ONCALL may cancel runs of etl/nightly (tagged team-a, eu; work pool k8s-prod), and only in "
            "direct messages. Ask one of them.",
            id="who, and where",
        ),
        pytest.param(
            rule(tags="team-b"),
            "No rule of the policy lets anybody but admins cancel runs of etl/nightly "
            "(tagged team-a, eu; work pool k8s-prod). Ask U6ROOT.",
            id="nobody",
        ),
    ],
)
def test_a_refusal_says_who_could_and_where(load: Load, text: str, said: str) -> None:
    assert refusal(load(ROLES + text), ANN, CANCEL) == said


def test_a_pool_is_paused_for_all_that_use_it(load: Load) -> None:
    pause = proposal("pause_work_pool", POOL, ETL)
    limits = {"actions": '"pause_work_pool"'}
    assert refusal(load(ROLES + rule(**limits, work_pools="k8s-*")), ANN, pause) == ""
    said = refusal(load(ROLES + rule(**limits, deployments="etl/*", tags="team-a")), ANN, pause)
    assert "pause the work of the work pool k8s-prod" in said


def test_a_refusal_of_many_things_names_those_that_are_not_allowed(load: Load) -> None:
    others = [Affected(deployment=f"report/{number}", tags=("team-b",)) for number in range(7)]
    policy = load(ROLES + rule(tags="team-a") + rule('"S1ONCALL"', tags="team-b"))
    said = refusal(policy, ANN, proposal("cancel_runs", ETL, *others))
    assert "Only S1ONCALL may" in said
    assert "report/0, report/1, report/2, report/3, report/4 and 2 more (7 of the 8" in said
    assert "etl/nightly" not in said


# -- channels


@pytest.mark.parametrize(
    ("channels", "place", "looks", "acts"),
    [
        pytest.param('C0OPS = "docs"', OPS, False, False, id="docs"),
        pytest.param('C0OPS = "look"', OPS, True, False, id="look"),
        pytest.param('C0OPS = "act"', OPS, True, True, id="act"),
        pytest.param('C1OTHER = "docs"', OPS, True, True, id="another channel"),
        pytest.param('"*" = "docs"', OPS, False, False, id="any channel"),
        pytest.param('"*" = "docs"\nC0OPS = "act"', OPS, True, True, id="named beats any"),
        pytest.param('"*" = "docs"', DIRECT, True, True, id="direct is no channel"),
        pytest.param('direct = "docs"', DIRECT, False, False, id="direct"),
        pytest.param('direct = "docs"', OPS, True, True, id="a channel is not direct"),
        pytest.param('"*" = "docs"\ndirect = "docs"', Place("", "prod"), False, False, id="nowhere"),
    ],
)
def test_a_channel_limits_everybody(load: Load, channels: str, place: Place, looks: bool, acts: bool) -> None:
    policy = load(f"{ROLES}\n[channels]\n{channels}\n")
    assert policy.may_look(ROOT, place) is looks
    assert (refusal(policy, ROOT, CANCEL, place) == "") is acts
    assert (refusal(policy, ROOT, proposal("reindex_knowledge"), place) == "") is acts
    if not looks:
        with pytest.raises(Refused, match="docs alone"):
            policy.check_look(ROOT, place)


def test_the_terminal_is_no_channel(load: Load) -> None:
    policy = load(f'{ROLES}\n[channels]\n"*" = "docs"\ndirect = "docs"\n')
    assert policy.may_look(LOCAL, Place("", "prod"))
    assert refusal(policy, LOCAL, CANCEL, Place("", "prod")) == ""


def test_who_may_act_somewhere_may_look_there(load: Load) -> None:
    policy = load(ROLES + rule('"U2GUEST"', channels="C0OPS", workspaces="prod"))
    assert policy.may_look(GUEST, OPS)
    for place in (DIRECT, Place("C0OPS", "dev")):
        assert not policy.may_look(GUEST, place)
        with pytest.raises(Refused, match="role in the policy"):
            policy.check_look(GUEST, place)


# -- what somebody may do, in words


@pytest.mark.parametrize(
    ("text", "person", "said"),
    [
        pytest.param("", ANN, "look at the workspace and confirm nothing that changes anything", id="viewer"),
        pytest.param(
            "",
            ON_CALL,
            "role **operator**: you may ask, look at the workspace and confirm `trigger_run`",
            id="operator",
        ),
        pytest.param("", GUEST, "role **docs only**: you may have answers from the docs", id="guest"),
        pytest.param(rule('"U9ELSE"'), ROOT, "`rollback_knowledge`", id="an admin needs no rule"),
        pytest.param(rule('"U9ELSE"'), ON_CALL, "no rule of the policy is for you here", id="no rule"),
        pytest.param(
            rule(tags="team-a", work_pools="k8s-*"),
            ANN,
            "- `cancel_runs`: tags `team-a`; work pools `k8s-*`",
            id="limits",
        ),
        pytest.param(
            rule(actions='"*", "reindex_knowledge"'),
            ANN,
            "- every action on a workspace, `reindex_knowledge`",
            id="all",
        ),
        pytest.param(rule(channels="C1OTHER"), ANN, "More is allowed to you in C1OTHER.", id="elsewhere"),
        pytest.param(
            '[channels]\nC0OPS = "look"', ROOT, "look at the workspace, and change nothing here", id="look"
        ),
        pytest.param(
            '[channels]\nC0OPS = "docs"', ROOT, "here you may have answers from the docs", id="docs"
        ),
    ],
)
def test_rights_are_told_for_the_place(load: Load, text: str, person: Person, said: str) -> None:
    told = load(ROLES + text).rights(person, OPS)
    assert f"`{person.id}`" in told
    assert said in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            ROLES, "admin: 1, operator: 1, viewer: every member; no rules: operators may do", id="roles"
        ),
        pytest.param(ROLES + rule(), "1 rule: who is no admin changes only what a rule allows", id="rules"),
        pytest.param(
            '[roles]\nadmin = ["U1"]', "who is not named gets answers from the docs alone", id="unnamed"
        ),
        pytest.param(ROLES + '[channels]\nC1 = "docs"', "channels: C1 docs", id="channels"),
    ],
)
def test_the_policy_is_told_in_one_line(load: Load, text: str, said: str) -> None:
    summary = load(text).summary
    assert said in summary
    assert "\n" not in summary


def test_the_groups_to_look_up_are_those_that_the_policy_names(load: Load) -> None:
    assert load(EVERYBODY + rule('"S2RULE", "operator", "U7"')).groups == {"S1ONCALL", "S2RULE"}
    assert Policy().groups == frozenset()


# -- a file that changes


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rewrite(file: Path, text: str, clock: Clock) -> None:
    """Another file takes its place, as editors and config maps do it, and the policy's time comes to look."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)
    clock.now += LOOK_EVERY_S


def test_a_changed_file_is_in_force_without_a_restart(policy_file: Path, clock: Clock) -> None:
    policy_file.write_text('[roles]\noperator = ["U1ANN"]\n')
    policy = Policy.load(policy_file, clock=clock)
    assert refusal(policy, ANN, CANCEL) == ""
    rewrite(policy_file, '[roles]\noperator = ["S9NEW"]\n', clock)
    assert refusal(policy, ANN, CANCEL)
    assert policy.groups == {"S9NEW"}
    assert policy.problem == ""


def test_the_file_is_not_looked_at_for_every_question(policy_file: Path, clock: Clock) -> None:
    policy_file.write_text('[roles]\noperator = ["U1ANN"]\n')
    policy = Policy.load(policy_file, clock=clock)
    rewrite(policy_file, "[roles]\n", clock)
    clock.now -= 0.1
    assert refusal(policy, ANN, CANCEL) == ""
    clock.now += 0.1
    assert refusal(policy, ANN, CANCEL)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("[roles\n", "not valid TOML", id="no TOML"),
        pytest.param("", "roles", id="nothing"),
        pytest.param('[roles]\nadmin = ["@ann"]', "'@ann'", id="a name for an id"),
        pytest.param(ROLES + rule(workspaces="pord"), "did you mean 'prod'", id="an unknown workspace"),
        pytest.param(None, "There is no policy file", id="no file"),
    ],
)
def test_a_broken_file_leaves_the_rules_from_before_in_force_and_says_so(
    policy_file: Path, clock: Clock, caplog: pytest.LogCaptureFixture, text: str | None, named: str
) -> None:
    policy_file.write_text('[roles]\noperator = ["U1ANN"]\n')
    policy = Policy.load(policy_file, workspaces=("prod",), clock=clock)
    rewrite(policy_file, text or "", clock)
    if text is None:
        policy_file.unlink()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert refusal(policy, ANN, CANCEL) == ""
            clock.now += LOOK_EVERY_S
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert named in caplog.text
    assert "stays in force" in policy.problem
    assert named in policy.problem
    rewrite(policy_file, "[roles]\n", clock)
    assert policy.problem == ""
    assert refusal(policy, ANN, CANCEL)


# -- a file that is wrong


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("[roles]\nadmin = U1", "line 2", id="no TOML"),
        pytest.param('[roles]\noperators = ["U1"]', "roles.operators", id="an unknown role"),
        pytest.param('[roles]\noperators = ["U1"]', "did you mean 'operator'", id="a role's nearest name"),
        pytest.param('[role]\nadmin = ["U1"]', "roles", id="an unknown table"),
        pytest.param("[roles]\n[[rules]]", "rules: there is no such key (did you mean 'rule", id="a table's"),
        pytest.param('[roles]\nadmin = "U1"', "roles.admin", id="no list"),
        pytest.param("[roles]\nadmin = [1]", "roles.admin.0", id="a number for an id"),
        pytest.param('[roles]\nadmin = ["U1", "@ops"]', "'@ops'", id="a name for an id"),
        pytest.param("", "roles", id="nothing"),
        pytest.param(
            ROLES + rule() + rule('"operators"'), "[[rule]] 2 (line 10): who.0", id="which rule, and where"
        ),
        pytest.param(ROLES + rule('"operators"'), "did you mean 'operator'", id="an unknown role in a rule"),
        pytest.param(
            ROLES + rule(actions='"trigger_runs"'), "did you mean 'trigger_run'", id="an unknown action"
        ),
        pytest.param(ROLES + rule(actions='"zzz"'), "there is trigger_run, retry_run", id="no such action"),
        pytest.param(
            ROLES + rule(tag="a"), "tag: there is no such key (did you mean 'tags'", id="an unknown key"
        ),
        pytest.param(ROLES + rule(workspaces="pord"), "did you mean 'prod'", id="an unknown workspace"),
        pytest.param(
            ROLES + rule(channels="#ops"), "'#ops' is neither the id of a channel", id="a channel's name"
        ),
        pytest.param(ROLES + rule(channels="*"), "'*'", id="any channel is no limit"),
        pytest.param(ROLES + rule(deployments="etl/[ab]"), "'etl/[ab]': only `*` and `?`", id="a bracket"),
        pytest.param(ROLES + rule(tags="{a,b}"), "only `*` and `?`", id="a brace"),
        pytest.param(ROLES + rule(tags=""), "is empty", id="an empty pattern"),
        pytest.param(ROLES + rule(tags=" a"), "has blanks", id="a blank"),
        pytest.param(ROLES + rule(who=""), "who: is empty", id="nobody"),
        pytest.param(ROLES + rule(actions=""), "actions: is empty", id="no action"),
        pytest.param(ROLES + '[[rule]]\nwho = ["*"]', "actions: is missing", id="no actions"),
        pytest.param(
            ROLES + '[[rule]]\nwho = ["*"]\nactions = ["*"]\ntags = []', "tags: is empty", id="an empty limit"
        ),
        pytest.param(ROLES + "[rule]\nwho = []", "two brackets", id="one bracket"),
        pytest.param(
            ROLES + rule(actions='"reindex_knowledge"', tags="a"), "reindex_knowledge touches no", id="never"
        ),
        pytest.param(
            ROLES + rule(actions='"rollback_knowledge"', workspaces="prod"),
            "touches no",
            id="nor a workspace",
        ),
        pytest.param(ROLES + '[channels]\nC1 = "doc"', "did you mean 'docs'", id="an unknown level"),
        pytest.param(ROLES + '[channels]\ngeneral = "docs"', "'general'", id="a channel by its name"),
        pytest.param(ROLES + "[channels]\nC1 = true", "channels.C1", id="a level that is no word"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place_named(
    load: Load, policy_file: Path, text: str, named: str
) -> None:
    with pytest.raises(BadInput) as raised:
        load(text)
    assert str(policy_file) in raised.value.message
    assert named in raised.value.message
    assert "\n" not in str(raised.value)
    assert raised.value.fix


def test_where_no_workspaces_are_known_any_name_may_stand(policy_file: Path) -> None:
    policy_file.write_text(ROLES + rule(workspaces="prod"))
    assert refusal(Policy.load(policy_file), ANN, CANCEL) == ""


def test_a_file_that_is_not_there_is_named_with_its_variable(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent\.toml.*ASK_MARVIN_POLICY"):
        Policy.load(tmp_path / "absent.toml")


def test_a_folder_for_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        Policy.load(tmp_path)


def test_bytes_that_are_no_text_are_refused(policy_file: Path) -> None:
    policy_file.write_bytes(b'[roles]\nadmin = ["\xff"]')
    with pytest.raises(BadInput, match="not valid TOML"):
        Policy.load(policy_file)
