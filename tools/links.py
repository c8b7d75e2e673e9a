"""Addresses of pages in Prefect's UI, built and read back; self-hosted and Cloud."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from knowledge.errors import BadInput

_CLOUD = re.compile(r"^(https?)://(?:api\.)?([^/]+)/api/accounts/([^/]+)/workspaces/([^/]+)$")
_CLOUD_PAGE = re.compile(r"/account/([^/]+)/workspace/([^/]+)")
_SLACK_LINK = re.compile(r"^<(https?://[^|>]+)(?:\|[^>]*)?>$")
_PAGE = re.compile(
    r"(?:/runs/flow-run/(?P<flow_run>[0-9a-f-]{36})"
    r"|/flow-runs/flow-run/(?P<old_flow_run>[0-9a-f-]{36})"
    r"|/flows/flow/(?P<flow>[0-9a-f-]{36})"
    r"|/deployments/deployment/(?P<deployment>[0-9a-f-]{36})"
    r"|/work-pools/work-pool/(?P<work_pool>[^/]+)"
    r"|/automations/automation/(?P<automation>[0-9a-f-]{36}))",
    re.IGNORECASE,
)


def ui_root(api_url: str) -> str:
    """The UI that belongs to an API: without `/api`, or `https://app.…/account/…/workspace/…` on Cloud."""
    if cloud := _CLOUD.match(api_url):
        scheme, host, account, workspace = cloud.groups()
        return f"{scheme}://app.{host}/account/{account}/workspace/{workspace}"
    return api_url.removesuffix("/api")


@dataclass(frozen=True, slots=True)
class Links:
    """Builds links below one UI root."""

    root: str

    @property
    def is_cloud(self) -> bool:
        return bool(_CLOUD_PAGE.search(self.root))

    def runs(self) -> str:
        return f"{self.root}/runs"

    def flow_run(self, run_id: str) -> str:
        return f"{self.root}/runs/flow-run/{run_id}"

    def task_run(self, task_run_id: str) -> str:
        return f"{self.root}/runs/task-run/{task_run_id}"

    def flow(self, flow_id: str) -> str:
        return f"{self.root}/flows/flow/{flow_id}"

    def deployment(self, deployment_id: str) -> str:
        return f"{self.root}/deployments/deployment/{deployment_id}"

    def work_pool(self, name: str) -> str:
        return f"{self.root}/work-pools/work-pool/{quote(name, safe='')}"

    def work_queue(self, pool: str, queue: str) -> str:
        return f"{self.work_pool(pool)}/queue/{quote(queue, safe='')}"

    def automation(self, automation_id: str) -> str:
        return f"{self.root}/automations/automation/{automation_id}"

    def concurrency_limit(self, limit_id: str) -> str:
        return f"{self.root}/concurrency-limits/concurrency-limit/{limit_id}"


@dataclass(frozen=True, slots=True)
class PageLink:
    """What a pasted UI link points at."""

    kind: str
    """`flow run`, `flow`, `deployment`, `work pool` or `automation`."""
    key: str
    """The object's id; a work pool's name."""
    workspace: str = ""
    """`<account>/<workspace>` on Cloud."""


def parse_link(text: str) -> PageLink | None:
    """Reads a UI link, also as Slack writes it (`<https://…|label>`); None when the text is no link."""
    text = text.strip()
    if wrapped := _SLACK_LINK.match(text):
        text = wrapped[1]
    if not text.lower().startswith(("http://", "https://")):
        return None
    path = urlsplit(text).path
    page = _PAGE.search(path)
    if page is None:
        raise BadInput(
            "That link is not to a run, flow, deployment, work pool or automation in Prefect's UI.",
            "Give the object's name, or the address that the browser shows on its page.",
        )
    kind = str(page.lastgroup)
    key = unquote(page[kind])
    cloud = _CLOUD_PAGE.search(path)
    workspace = f"{cloud[1]}/{cloud[2]}" if cloud else ""
    kind = kind.removeprefix("old_").replace("_", " ")
    return PageLink(kind=kind, key=key if kind == "work pool" else key.lower(), workspace=workspace)
