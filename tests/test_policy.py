"""The policy: who has which role, what a role allows, and what is said about a file that is wrong."""

from pathlib import Path

import pytest

from bot.people import LOCAL, Person
from bot.policy import Policy, Role
from knowledge.errors import BadInput, Refused

ANN = Person(id="U1ANN", team="T1")
GUEST = Person(id="U2GUEST", team="T1", is_guest=True)
EXTERNAL = Person(id="U3EXTERNAL", team="T1", is_external=True)
BOSS = Person(id="U4BOSS", team="T1", is_workspace_admin=True)
ON_CALL = Person(id="U5CALL", team="T1", groups=frozenset({"S1ONCALL"}))

EVERYBODY = """
[roles]
admin = ["U1ANN"]
operator = ["S1ONCALL", "U2GUEST"]
viewer = ["*"]
"""


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def load(file: Path, text: str) -> Policy:
    file.write_text(text, encoding="utf-8")
    return Policy.load(file)


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
    assert Policy.load(None).role(person) is role


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
def test_with_a_file_it_alone_gives_roles(policy_file: Path, person: Person, role: Role) -> None:
    assert load(policy_file, EVERYBODY).role(person) is role


def test_who_is_not_named_gets_the_docs_only(policy_file: Path) -> None:
    policy = load(policy_file, '[roles]\noperator = ["U1ANN"]')
    assert policy.role(BOSS) is Role.DOCS_ONLY


def test_every_member_does_not_mean_guests_and_people_from_outside(policy_file: Path) -> None:
    policy = load(policy_file, '[roles]\nadmin = ["*"]')
    assert [policy.role(person) for person in (ANN, GUEST, EXTERNAL)] == [
        Role.ADMIN,
        Role.DOCS_ONLY,
        Role.DOCS_ONLY,
    ]


def test_who_has_several_roles_has_the_highest(policy_file: Path) -> None:
    policy = load(policy_file, '[roles]\nviewer = ["U5CALL"]\noperator = ["S1ONCALL"]')
    assert policy.role(ON_CALL) is Role.OPERATOR


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("trigger_run", {Role.OPERATOR, Role.ADMIN}),
        ("cancel_runs", {Role.OPERATOR, Role.ADMIN}),
        ("reindex_knowledge", {Role.ADMIN}),
        ("rollback_knowledge", {Role.ADMIN}),
        ("an_action_that_nobody_listed", {Role.ADMIN}),
    ],
)
def test_a_role_allows_what_is_listed_for_it_and_below(action: str, allowed: set[Role]) -> None:
    for role in (Role.VIEWER, Role.OPERATOR, Role.ADMIN):
        policy = Policy(
            {each: frozenset({ANN.id} if each is role else ()) for each in Role if each is not Role.DOCS_ONLY}
        )
        if role in allowed:
            policy.check(ANN, action)
        else:
            with pytest.raises(Refused) as raised:
                policy.check(ANN, action)
            assert role.label in raised.value.message


def test_a_refusal_names_the_role_that_is_missing_and_the_one_that_is_there() -> None:
    with pytest.raises(Refused) as raised:
        Policy().check(GUEST, "trigger_run")
    assert "operator" in raised.value.message
    assert "docs only" in raised.value.message


def test_the_groups_to_look_up_are_those_that_the_policy_names(policy_file: Path) -> None:
    assert load(policy_file, EVERYBODY).groups == {"S1ONCALL"}
    assert Policy().groups == frozenset()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("[roles]\nadmin = U1", "line 2", id="no TOML"),
        pytest.param('[roles]\noperators = ["U1"]', "roles.operators", id="an unknown role"),
        pytest.param('[role]\nadmin = ["U1"]', "roles", id="an unknown table"),
        pytest.param('[roles]\nadmin = "U1"', "roles.admin", id="no list"),
        pytest.param("[roles]\nadmin = [1]", "roles.admin.0", id="a number for an id"),
        pytest.param('[roles]\nadmin = ["U1", "@ops"]', "'@ops'", id="a name for an id"),
        pytest.param("", "roles", id="nothing"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place_named(
    policy_file: Path, text: str, named: str
) -> None:
    with pytest.raises(BadInput) as raised:
        load(policy_file, text)
    assert str(policy_file) in raised.value.message
    assert named in raised.value.message
    assert "\n" not in str(raised.value)
    assert raised.value.fix


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
