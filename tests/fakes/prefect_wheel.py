"""A wheel of a Prefect that never was, small and written like the real one."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

CYCLOPTS = {
    "prefect/cli/__init__.py": "from prefect.cli._app import app\n",
    "prefect/cli/_app.py": """
from typing import Annotated, Optional
import cyclopts

_app = cyclopts.App(name="prefect", version_flags=[])

@_app.meta.default
def _root(
    *tokens: str,
    profile: Annotated[Optional[str], cyclopts.Parameter("--profile")] = None,
    prompt: Annotated[Optional[bool], cyclopts.Parameter("--prompt")] = None,
): ...

_SHORT = {"-p": "--profile", "-jv": "--job-variable"}

_app.command("prefect.cli.deploy:deploy_app", name="deploy")
_app.command("prefect.cli.work_pool:work_pool_app", name="work-pool", alias="work-pools")
_app.command("prefect.cli.worker:worker_app", name="worker")
_app.command("prefect.cli.deploy:init", name="init")
""",
    "prefect/cli/deploy.py": """
from typing import Annotated
import cyclopts

deploy_app: cyclopts.App = cyclopts.App(name="deploy")

@deploy_app.default
async def deploy(
    entrypoint: str = "",
    *,
    names: Annotated[list[str], cyclopts.Parameter("--name", alias="-n")] = (),
    all_: Annotated[bool, cyclopts.Parameter("--all")] = False,
    job_variable: Annotated[list[str], cyclopts.Parameter("--job-variable")] = (),
): ...

@deploy_app.command(name="init")
def init(*, recipe: str = ""): ...
""",
    "prefect/cli/work_pool.py": """
from typing import Annotated
import cyclopts

work_pool_app: cyclopts.App = cyclopts.App(name="work-pool", alias="work-pools")
storage_app: cyclopts.App = cyclopts.App(name="storage")
work_pool_app.command(storage_app)

@work_pool_app.command(name="create")
async def create(
    name: str,
    *,
    type: Annotated[str, cyclopts.Parameter("--type", alias="-t")] = "",
    paused: Annotated[bool, cyclopts.Parameter("--paused", negative="--running")] = False,
): ...

@work_pool_app.command()
async def set_concurrency_limit(name: str, limit: int): ...

work_pool_app.command(create, name="make")

@storage_app.command
def inspect(name: str): ...
""",
    "prefect/cli/worker.py": """
from typing import Annotated
import cyclopts

worker_app: cyclopts.App = cyclopts.App(name="worker")
Launcher = Annotated[str, cyclopts.Parameter("--launcher-arg")]

@worker_app.command()
def start(
    *,
    pool: Annotated[str, cyclopts.Parameter("--pool", alias="-p")],
    launcher_arg: Launcher = "",
    **settings: str,
): ...
""",
}
TYPER = {
    "prefect/cli/__init__.py": "from prefect.cli.root import app\nimport prefect.cli.worker\n",
    "prefect/cli/root.py": """
import typer
from prefect.cli._types import PrefectTyper

app: PrefectTyper = PrefectTyper(add_completion=True)

@app.callback()
def main(ctx: typer.Context, profile: str = typer.Option(None, "--profile", "-p")): ...
""",
    "prefect/cli/worker.py": """
import typer
from prefect.cli._types import PrefectTyper, SettingsOption
from prefect.cli.root import app

worker_app: PrefectTyper = PrefectTyper(name="worker")
app.add_typer(worker_app, aliases=["workers"])

@worker_app.command()
async def start(
    pool: str = typer.Option(..., "-p", "--pool"),
    limit: int = SettingsOption(PREFECT_LIMIT),
    ui: bool = typer.Option(True, "--ui/--no-ui"),
    name: str = typer.Argument(""),
): ...
""",
}
SETTINGS = {
    "prefect/settings/__init__.py": "",
    "prefect/settings/base.py": "def build_settings_config(path=(), frozen=False): ...\n",
    "prefect/settings/models/__init__.py": "",
    "prefect/settings/models/api.py": """
from typing import ClassVar, Optional
from pydantic import AliasChoices, AliasPath, Field
from prefect.settings.base import PrefectBaseSettings, build_settings_config

class APISettings(PrefectBaseSettings):
    model_config: ClassVar = build_settings_config(("api",))
    url: Optional[str] = Field(default=None)
    key: Optional[str] = Field(
        default=None, validation_alias=AliasChoices(AliasPath("key"), "prefect_api_key", "prefect_cloud_key")
    )

class ServiceSettings(PrefectBaseSettings):
    enabled: bool = Field(default=True)

class SchedulerSettings(ServiceSettings):
    model_config: ClassVar = build_settings_config(("server", "services", "scheduler"))
    loop_seconds: float = Field(default=60)

class Settings(PrefectBaseSettings):
    model_config: ClassVar = build_settings_config()
    home: str = Field(default="~/.prefect")
    api: APISettings = Field(default_factory=APISettings)
""",
    "prefect/logging/logging.yml": 'level: "${PREFECT_LOGGING_LEVEL}"\n',
}
NAMES = {
    "prefect/__init__.py": """
raise RuntimeError("imported")
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .main import flow, Flow, task, Task
__all__ = ["flow", "Flow", "task", "Task"]
def __getattr__(name): ...
""",
    "prefect/main.py": "import os\nfrom prefect.flows import flow, Flow\nfrom prefect.tasks import task, Task\n",
    "prefect/flows.py": """
import os

class _Serving:
    def serve(self, name): ...

class Flow(_Serving):
    def deploy(self, name): ...
    def _private(self): os.environ.get("PREFECT_PROFILE")

class FlowDecorator:
    def from_source(self, source): ...

flow = FlowDecorator()
EVENT = "prefect.asset.materialized"
LABEL = "prefect.resource.id"
""",
    "prefect/tasks.py": "class Task:\n    def map(self): ...\ndef task(f): ...\n",
    "prefect/runtime/__init__.py": "from . import flow_run\n",
    "prefect/runtime/flow_run.py": '__all__ = ["id", "name"]\ndef __getattr__(name): ...\n',
    "prefect/blocks/__init__.py": "",
    "prefect/blocks/system.py": """
from pydantic import BaseModel

class Block(BaseModel):
    @classmethod
    def load(cls, name): ...

class Secret(Block):
    value: str
""",
    "prefect/settings/values.py": "from somewhere import Other\nclass Odd(Other): ...\n",
    "prefect/deployments.py": "from prefect._internal.compatibility.migration import getattr_migration\n"
    "__getattr__ = getattr_migration(__name__)\ndef run_deployment(name): ...\n",
    "prefect/engine.py": "",
    "prefect/_internal/__init__.py": "",
    "prefect/_internal/compatibility/__init__.py": "",
    "prefect/_internal/compatibility/migration.py": """
MOVED_IN_V3 = {"prefect.engine:pause_flow_run": "prefect.flow_runs:pause_flow_run"}
REMOVED_IN_V3 = {"prefect.deployments:Deployment": "Use `flow.deploy()` instead."}
""",
}
FILES = {**CYCLOPTS, **SETTINGS, **NAMES}


def write_unpacked(folder: Path, files: Mapping[str, str] = FILES, *, version: str = "3.9.9") -> Path:
    """Write the files as a wheel is unpacked, and give the folder."""
    for name, text in {**files, **_metadata(version)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def write_wheel(folder: Path, files: Mapping[str, str] = FILES, *, version: str = "3.9.9") -> Path:
    """Write a wheel that pip takes as well, and give its path."""
    path = folder / f"prefect-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, **_metadata(version)}.items():
            archive.writestr(name, text)
    return path


def _metadata(version: str) -> dict[str, str]:
    folder = f"prefect-{version}.dist-info"
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: prefect\nVersion: {version}\n",
        f"{folder}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{folder}/RECORD": "",
    }
