import pytest

from knowledge.errors import BadInput
from tools.links import Links, PageLink, parse_link, ui_root

ID = "0b5dd8de-4a3f-4a0e-9f0e-2d6a1f6f3a11"
CLOUD_API = f"https://api.prefect.cloud/api/accounts/{ID}/workspaces/{ID}"
CLOUD_UI = f"https://app.prefect.cloud/account/{ID}/workspace/{ID}"


def test_the_ui_of_a_server_is_its_address_without_api() -> None:
    assert ui_root("http://host:4200/api") == "http://host:4200"
    assert ui_root("https://host/base/api") == "https://host/base"


def test_the_ui_of_cloud_has_singular_words_and_another_host() -> None:
    assert ui_root(CLOUD_API) == CLOUD_UI


@pytest.mark.parametrize("root", ["http://host:4200", "https://host/base", CLOUD_UI])
def test_every_link_that_is_built_can_be_read_back(root: str) -> None:
    links = Links(root)
    workspace = f"{ID}/{ID}" if root == CLOUD_UI else ""
    assert parse_link(links.flow_run(ID)) == PageLink("flow run", ID, workspace)
    assert parse_link(links.deployment(ID)) == PageLink("deployment", ID, workspace)
    assert parse_link(links.flow(ID)) == PageLink("flow", ID, workspace)
    assert parse_link(links.automation(ID)) == PageLink("automation", ID, workspace)
    assert parse_link(links.work_pool("my pool/1")) == PageLink("work pool", "my pool/1", workspace)


def test_a_link_to_a_queue_is_a_link_to_its_pool() -> None:
    assert parse_link(Links("http://h").work_queue("p", "q")) == PageLink("work pool", "p")


@pytest.mark.parametrize(
    "text",
    [
        f"<http://h:4200/runs/flow-run/{ID}>",
        f"<http://h:4200/runs/flow-run/{ID}|calm-otter>",
        f"http://h:4200/v2/runs/flow-run/{ID.upper()}?tab=Logs#x",
        f"http://h:4200/flow-runs/flow-run/{ID}",
    ],
)
def test_a_pasted_link_is_read_however_slack_or_the_browser_writes_it(text: str) -> None:
    assert parse_link(text) == PageLink("flow run", ID)


@pytest.mark.parametrize("text", ["etl/nightly", "calm-otter", ID, ""])
def test_a_name_is_no_link(text: str) -> None:
    assert parse_link(text) is None


def test_a_link_to_something_else_is_refused() -> None:
    with pytest.raises(BadInput, match="not to a run"):
        parse_link("https://docs.prefect.io/v3/concepts/work-pools")
