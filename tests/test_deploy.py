"""`ask-marvin reindex --deploy`, against a real Prefect server; a real worker runs what it made (slow)."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.utilities.callables import parameter_schema

from bot.cli import run
from bot.indexing.deploy import ENTRYPOINT, FLOW, PARAMETERS, sources_text
from bot.indexing.flow import reindex
from bot.settings import Settings
from knowledge.embed import static_embedder
from knowledge.library import Library
from knowledge.sources.config import load_sources
from tests.prefect_seed import Seed, unique
from tests.prefect_server import clean_environment
from tests.test_chroma_server import RunningChroma
from tests.waiting import until
from tools.prefect_client import PrefectClient

TOKEN = "ghp_verysecret0123456789"
SOURCES = """
[[source]]
name = "handbook"
kind = "files"
path = "docs"
base_url = "https://handbook.example.com"
every = "6h"
exclude = ["drafts/*"]

[[source]]
name = "code"
kind = "github"
repo = "acme/flow"
"""
RUN_SECONDS = 100.0


def environment(tmp_path: Path, prefect_url: str, **more: str) -> dict[str, str]:
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "docs" / "page.md").write_text("# Zeppelins\n\nA zeppelin is a rigid airship.")
    (tmp_path / "sources.toml").write_text(SOURCES)
    return {
        "PREFECT_API_URL": prefect_url,
        "CHROMA_URL": "http://chroma.example.com:8000",
        "ASK_MARVIN_HOME": str(tmp_path / "home"),
        "ASK_MARVIN_SOURCES": str(tmp_path / "sources.toml"),
        **more,
    }


async def deploy(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], *arguments: str
) -> tuple[int, Any]:
    """The command as a person gives it; its status and document."""
    command = ["reindex", "--deploy", "--json", *arguments]
    status = await asyncio.to_thread(run, command, environ)
    return status, json.loads(capsys.readouterr().out)


@asynccontextmanager
async def secret(seed: Seed, name: str, value: str) -> AsyncIterator[None]:
    """A Secret block, as somebody makes it in Prefect's UI; its name is fixed, so it goes again."""
    await seed.post("block_types/install_system_block_types")
    kind = await seed.get("block_types/slug/secret")
    schemas = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}, "limit": 1}
    (schema,) = await seed.post("block_schemas/filter", schemas)
    document = {"name": name, "data": {"value": value}, "block_type_id": kind["id"]}
    made = await seed.post("block_documents/", {**document, "block_schema_id": schema["id"]})
    yield
    await seed.delete(f"block_documents/{made['id']}")


async def test_a_deployment_is_made_and_brought_up_to_date(
    prefect: PrefectClient, prefect_url: str, seed: Seed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = await seed.pool()
    environ = environment(tmp_path, prefect_url, GITHUB_TOKEN=TOKEN)
    status, made = await deploy(capsys, environ, "--pool", pool)
    assert (status, made["deployment"], made["schedule"]) == (0, f"{FLOW}/all", "every 6h")
    first = await prefect.deployment_by_name(FLOW, "all")
    assert made["url"].endswith(f"/deployments/deployment/{first.id}")
    assert (first.work_pool_name, first.entrypoint) == (pool, ENTRYPOINT)
    assert first.job_variables["env"] == {
        "ASK_MARVIN_EMBEDDER": "static",
        "CHROMA_URL": "http://chroma.example.com:8000",
    }
    assert any(note.startswith("GITHUB_TOKEN has to be set where the worker runs") for note in made["notes"])
    status, made = await deploy(capsys, environ, "--pool", pool, "--cron", "0 5 * * *")
    second = await prefect.deployment_by_name(FLOW, "all")
    assert (status, second.id, len(second.schedules)) == (0, first.id, 1)
    assert made["schedule"] == "cron 0 5 * * * (UTC)"


async def test_no_secret_is_in_a_deployment_and_a_secret_block_is_named_in_its_place(
    prefect: PrefectClient, prefect_url: str, seed: Seed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = environment(
        tmp_path,
        prefect_url,
        GITHUB_TOKEN=TOKEN,
        CHROMA_URL="https://:chromatoken@chroma.example.com/t/d",
        OPENAI_API_KEY="sk-secretkey",
        ASK_MARVIN_EMBEDDER="openai",
    )
    pool = await seed.pool()
    async with (
        secret(seed, "ask-marvin-github-token", TOKEN),
        secret(seed, "ask-marvin-chroma-url", "http://:pw@chroma:8000"),
    ):
        status, made = await deploy(capsys, environ, "--pool", pool, "--source", "code")
    assert status == 0
    raw = json.dumps(await seed.get(f"deployments/name/{FLOW}/code")) + json.dumps(made)
    assert not [word for word in (TOKEN, "chromatoken", "sk-secretkey", ":pw@") if word in raw]
    assert made["variables"] == {
        "ASK_MARVIN_EMBEDDER": "openai",
        "ASK_MARVIN_EMBEDDING_MODEL": "text-embedding-3-small",
        "CHROMA_URL": "{{ prefect.blocks.secret.ask-marvin-chroma-url }}",
        "GITHUB_TOKEN": "{{ prefect.blocks.secret.ask-marvin-github-token }}",
    }
    assert any("'ask-marvin-openai-api-key'" in note for note in made["notes"])
    assert (await prefect.deployment_by_name(FLOW, "code")).parameters["source"] == "code"


@pytest.mark.parametrize(
    ("more", "arguments", "says"),
    [
        pytest.param({"CHROMA_URL": ""}, [], "cannot write the index in the data folder", id="no chroma"),
        pytest.param({}, ["--pool", "no-such-pool"], "no work pool called 'no-such-pool'", id="no pool"),
        pytest.param({}, ["--source", "cod"], "no source called 'cod'", id="no source"),
        pytest.param({}, ["--every", "often"], "--every has to be a number with m, h, d", id="no time"),
        pytest.param({}, ["--every", "1m"], "--every has to be 5m at least", id="too often"),
        pytest.param({}, ["--cron", "nonsense"], "does not understand --cron 'nonsense'", id="no cron"),
        pytest.param({}, ["--full"], "--full has no place in a deployment", id="full"),
    ],
)
async def test_what_cannot_be_deployed_is_one_clear_sentence(
    prefect_url: str,
    seed: Seed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, str],
    arguments: list[str],
    says: str,
) -> None:
    arguments = ["--pool", await seed.pool(), *arguments]
    status, said = await deploy(capsys, environment(tmp_path, prefect_url, **more), *arguments)
    assert status == 2
    assert says in said["error"]["message"]
    assert said["error"]["fix"]


async def test_pools_that_cannot_run_it_are_refused(
    prefect_url: str, seed: Seed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = {"title": "Image", "type": "string", "default": "prefecthq/prefect:3-latest"}
    variables = {"type": "object", "properties": {"image": image, "env": {"type": "object"}}}
    template = {"job_configuration": {"image": "{{ image }}", "env": "{{ env }}"}, "variables": variables}
    docker = await seed.pool(type="docker", base_job_template=template)
    legacy = await seed.pool(type="prefect-agent")
    environ = environment(tmp_path, prefect_url)
    status, said = await deploy(capsys, environ, "--pool", legacy)
    assert (status, "legacy type prefect-agent" in said["error"]["message"]) == (2, True)
    status, said = await deploy(capsys, environ, "--pool", docker)
    assert (status, "--image NAME" in said["error"]["fix"]) == (2, True)
    status, _ = await deploy(capsys, environ, "--pool", docker, "--image", "acme/marvin:1")
    raw = await seed.get(f"deployments/name/{FLOW}/all")
    assert (status, raw["job_variables"]["image"]) == (0, "acme/marvin:1")


async def test_options_of_a_deployment_need_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"ASK_MARVIN_HOME": str(tmp_path)}
    status = await asyncio.to_thread(run, ["reindex", "--every", "6h", "--json"], environ)
    assert (status, json.loads(capsys.readouterr().out)["error"]["message"]) == (2, "--every needs --deploy.")


def test_the_parameters_of_the_deployment_are_those_of_the_flow() -> None:
    known = parameter_schema(reindex).model_dump_for_openapi()["properties"]
    assert PARAMETERS["properties"].keys() == known.keys()
    assert {name: entry.get("default") for name, entry in PARAMETERS["properties"].items()} == {
        name: entry.get("default") for name, entry in known.items()
    }


def test_the_sources_read_the_same_elsewhere(tmp_path: Path) -> None:
    environ = environment(tmp_path, "http://unused.example.com/api")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "sources.toml").write_text(sources_text(Settings.from_env(environ)))
    assert load_sources(elsewhere / "sources.toml") == load_sources(tmp_path / "sources.toml")


@contextmanager
def worker(pool: str, prefect_url: str, folder: Path) -> Iterator[Path]:
    """A worker of type process with an environment of its own; gives its log."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    own = {
        "PREFECT_API_URL": prefect_url,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "ASK_MARVIN_HOME": str(folder),
    }
    log = folder / "worker.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**clean_environment(folder), **own},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield log
        finally:
            process.terminate()
            process.wait(20)


async def outcome(prefect: PrefectClient, run_id: str, log: Path) -> tuple[str, str]:
    """The run's last state and what it says."""
    final = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

    async def ended() -> bool:
        return (await prefect.flow_run_states(run_id))[-1].type in final

    try:
        await until(ended, within=RUN_SECONDS)
    except TimeoutError:
        raise AssertionError(f"the run did not end:\n{log.read_text()[-3000:]}") from None
    state = (await prefect.flow_run_states(run_id))[-1]
    return state.type, state.message


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_worker_runs_the_deployment_and_its_index_is_served(
    prefect: PrefectClient, prefect_url: str, seed: Seed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chroma = RunningChroma(tmp_path)
    try:
        pool = await seed.pool()
        url = chroma.url.replace("http://", "http://:token@")
        environ = environment(tmp_path, prefect_url, CHROMA_URL=url)
        elsewhere = tmp_path / "worker"
        elsewhere.mkdir()
        async with secret(seed, "ask-marvin-chroma-url", url):
            status, made = await deploy(capsys, environ, "--pool", pool, "--source", "handbook")
            assert (status, made["schedule"]) == (0, "every 6h")
            deployment = await prefect.deployment_by_name(FLOW, "handbook")
            started, _ = await prefect.create_flow_run(deployment.id, {}, key=unique("run"))
            with worker(pool, prefect_url, elsewhere) as log:
                state, message = await outcome(prefect, started.id, log)
        assert (state, "Pages: 1 added" in message) == ("COMPLETED", True), log.read_text()[-3000:]
        library = Library(tmp_path / "home" / "index", static_embedder(), chroma_url=chroma.url)
        await asyncio.to_thread(library.open)
        assert library.search("zeppelin", 1)[0].url == "https://handbook.example.com/page"
        library.close()
    finally:
        chroma.stop()
