"""The demo's Prefect server: what it is given, what it shows, and that nothing of it is left behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.demo.child import Surroundings, clean_environment, supervised
from bot.demo.folder import claimed
from bot.demo.server import DemoPrefect, deploy, free_port
from knowledge.errors import BadInput, Unreachable
from tests.waiting import until

REPOSITORY = Path(__file__).parents[1]
ABSENT = "production.invalid"
# What a caller may have set, and where a production server would be.
CALLERS = {
    "PREFECT_API_URL": f"http://{ABSENT}/api",
    "PREFECT_API_KEY": "pnu_callers_own",
    "PREFECT_PROFILE": "production",
    "SLACK_BOT_TOKEN": "xoxb-callers-own",
    "OPENAI_API_KEY": "sk-callers-own",
    "DATABASE_URL": f"postgresql://callers:own@{ABSENT}/db",
    "HTTPS_PROXY": f"http://{ABSENT}:3128",
    "http_proxy": f"http://{ABSENT}:3128",
}
NAMES = (
    "daily-report/analytics",
    "load-orders/nightly",
    "train-model/weekly",
    "export-invoices/on-kubernetes",
)

# Two starts of the server with other work beside them.
SLOW_SECONDS = 400

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="looks processes up in /proc, which this system has not"
)


# -- helpers


def variables(pid: int) -> dict[str, str]:
    """The environment of a running process; empty when it has ended."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    return dict(pair.split("=", 1) for pair in text.split("\0") if "=" in pair)


def processes_below(folder: Path) -> dict[int, dict[str, str]]:
    """The running processes whose HOME is below the folder: exactly the children and what they started."""
    running = {int(entry.name): variables(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    return {pid: known for pid, known in running.items() if known.get("HOME", "").startswith(str(folder))}


async def nothing_is_left(folder: Path, *, seconds: float = 15) -> None:
    await until(lambda: not processes_below(folder), within=seconds)


def surroundings(folder: Path, lock: int) -> Surroundings:
    return Surroundings(clean_environment(folder, os.environ), folder, lock)


@asynccontextmanager
async def program(script: str, *arguments: str, **more: str) -> AsyncIterator[Process]:
    """Another Python process that uses the demo; its `print` is read from `stdout`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", **more}
    command = (sys.executable, "-c", textwrap.dedent(script), *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process, *, seconds: float) -> str:
    """The next line that the program prints."""
    assert process.stdout is not None
    async with asyncio.timeout(seconds):
        return (await process.stdout.readline()).decode().strip()


# -- what a child is given


def test_a_child_gets_no_variable_but_those_it_needs(tmp_path: Path) -> None:
    given = clean_environment(tmp_path, CALLERS | {"PATH": "/bin", "TZ": "UTC", "AWS_SECRET_ACCESS_KEY": "x"})
    assert given.keys() == {"PATH", "TZ", "HOME", "TMPDIR", "PYTHONUSERBASE"}
    assert given["HOME"] == str(tmp_path)


def test_without_prefect_one_sentence_says_how_to_install_it() -> None:
    script = f"""
        import sys
        sys.path.insert(0, {str(REPOSITORY)!r})
        from bot.demo.server import find_prefect
        from knowledge.errors import BadInput
        try:
            find_prefect()
        except BadInput as error:
            print(error)
    """
    # -S hides site-packages, and Prefect with them.
    command = (sys.executable, "-I", "-S", "-c", textwrap.dedent(script))
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == (
        "The demo needs Prefect, which is not installed. Run: pip install 'ask-marvin[demo]'"
    )


# -- the folder


async def test_the_demo_never_empties_a_folder_that_it_did_not_make(tmp_path: Path) -> None:
    foreign = tmp_path / "prefect"
    foreign.mkdir()
    (foreign / "precious.db").touch()
    with pytest.raises(BadInput, match="holds files that the demo did not make"):
        async with claimed(foreign):
            pass
    assert (foreign / "precious.db").exists()


async def test_each_start_empties_the_demos_own_folder(tmp_path: Path) -> None:
    async with claimed(tmp_path / "prefect") as folder:
        (folder.home / "prefect.db").touch()
    async with claimed(tmp_path / "prefect") as folder:
        assert list(folder.home.iterdir()) == []


async def test_a_second_demo_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with claimed(tmp_path / "prefect") as first:
        (first.home / "prefect.db").touch()
        with pytest.raises(BadInput, match="Another demo is running in"):
            async with claimed(tmp_path / "prefect", patience=0):
                pass
        assert (first.home / "prefect.db").exists()


@needs_proc
async def test_the_folder_stays_claimed_until_the_last_child_has_ended(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    async with claimed(tmp_path / "prefect") as folder:
        child = supervised(command, folder.log("child"), surroundings(folder.home, folder.lock))
        await child.__aenter__()
    with pytest.raises(BadInput, match="Another demo is running in"):
        async with claimed(tmp_path / "prefect", patience=0):
            pass
    await child.__aexit__(None, None, None)
    async with claimed(tmp_path / "prefect", patience=0):
        assert not processes_below(tmp_path)


# -- nothing outlives the demo

# A command like a worker: what it starts leaves its session, loses its parent and does not listen to SIGTERM.
STUBBORN = """
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    middle = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
    orphan = [sys.executable, "-c", sleeper]
    subprocess.run([sys.executable, "-c", middle, *orphan], start_new_session=True)
    time.sleep(60)
"""
# The supervisor, the command and the orphan.
STUBBORN_TREE = 3
PARENT = """
    import asyncio, os, subprocess, sys
    from pathlib import Path
    from bot.demo.child import Surroundings, clean_environment, supervised

    async def main(folder, command, bystander):
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        around = Surroundings(clean_environment(folder, os.environ), folder, lock)
        async with supervised([sys.executable, "-c", command], folder / "log", around) as child:
            if bystander:
                pipe = child.stdin.transport.get_extra_info("pipe").fileno()
                other = subprocess.Popen([sys.executable, "-c", bystander], pass_fds=[pipe])
                print(other.pid)
            print("up")
            await asyncio.sleep(60)

    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
"""


@needs_proc
async def test_leaving_ends_descendants_in_sessions_of_their_own_and_orphans(tmp_path: Path) -> None:
    command = (sys.executable, "-c", textwrap.dedent(STUBBORN))
    with (tmp_path / "lock").open("w") as lock:
        async with supervised(command, tmp_path / "log", surroundings(tmp_path, lock.fileno())):
            await until(lambda: len(processes_below(tmp_path)) == STUBBORN_TREE, within=10)
    assert not processes_below(tmp_path)


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
async def test_whatever_ends_the_parent_ends_the_whole_tree(tmp_path: Path, number: signal.Signals) -> None:
    async with program(PARENT, str(tmp_path), textwrap.dedent(STUBBORN), "") as parent:
        assert await said(parent, seconds=10) == "up"
        await until(lambda: len(processes_below(tmp_path)) == STUBBORN_TREE, within=10)
        parent.send_signal(number)
        await nothing_is_left(tmp_path)


@needs_proc
async def test_the_tree_ends_even_when_another_process_holds_the_pipe_open(tmp_path: Path) -> None:
    sleeper = "import time; time.sleep(60)"
    async with program(PARENT, str(tmp_path), sleeper, sleeper) as parent:
        bystander = int(await said(parent, seconds=10))
        try:
            assert await said(parent, seconds=10) == "up"
            parent.kill()
            await nothing_is_left(tmp_path)
            assert variables(bystander)
        finally:
            os.kill(bystander, signal.SIGKILL)


@needs_proc
async def test_a_command_that_ends_by_itself_gives_its_exit_code_and_takes_its_children_along(
    tmp_path: Path,
) -> None:
    sleeper = "import time; time.sleep(60)"
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}]); sys.exit(7)"
    with (tmp_path / "lock").open("w") as lock:
        around = surroundings(tmp_path, lock.fileno())
        async with supervised((sys.executable, "-c", script), tmp_path / "log", around) as child:
            async with asyncio.timeout(10):
                assert await child.wait() == 7
            assert not processes_below(tmp_path)


async def test_a_server_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    async with claimed(tmp_path / "prefect") as folder:
        # Nobody listens here: the deploying script would wait until it is ended with the server.
        nowhere = clean_environment(folder.home, os.environ) | {
            "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"
        }
        around = Surroundings(nowhere, folder.work, folder.lock)
        dying = (sys.executable, "-c", "import sys; sys.exit('the port is taken')")
        async with supervised(dying, folder.log("server"), around) as server:
            with pytest.raises(Unreachable, match="ended before it was ready") as caught:
                await deploy(folder, around, server)
    assert str(folder.log("server")) in caught.value.fix
    assert caught.value.fix.endswith("the port is taken")


# -- the real server


async def found(api: httpx.AsyncClient, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    answer = await api.post(path, json=dict(body))
    answer.raise_for_status()
    rows: list[dict[str, Any]] = answer.json()
    return rows


async def deployment(api: httpx.AsyncClient, name: str) -> dict[str, Any]:
    answer = await api.get(f"deployments/name/{name}")
    answer.raise_for_status()
    row: dict[str, Any] = answer.json()
    return row


def states(api: httpx.AsyncClient, *names: str) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    """A look at the runs that are in states of these names."""
    body = {"flow_runs": {"state": {"name": {"any_": names}}}}
    return lambda: found(api, "flow_runs/filter", body)


@pytest.mark.slow
@pytest.mark.timeout(SLOW_SECONDS)
@needs_proc
async def test_the_demo_is_deployed_runs_what_is_triggered_and_leaves_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    async with (
        DemoPrefect(tmp_path, said.append) as demo,
        # Its first runs and its worker start at the same time, on however few cores.
        httpx.AsyncClient(base_url=demo.api_url, timeout=30) as api,
    ):
        assert demo.deployments == NAMES
        assert said[-1].startswith("4 deployments are ready after ")
        assert "<html" in (await api.get(demo.ui_url, follow_redirects=True)).text
        await check_settings(api)
        await check_schema(api)
        await check_runs(api)
    assert not processes_below(tmp_path)


@pytest.mark.slow
def test_the_demo_speaks_to_prefect_only_as_a_process_of_its_own() -> None:
    script = "import sys, bot.demo.server, bot.demo.tour; assert 'prefect' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


async def check_settings(api: httpx.AsyncClient) -> None:
    """Every setting that the demo makes is known to this Prefect under its name."""
    settings = (await api.get("admin/settings")).json()
    assert settings["server"]["analytics_enabled"] is False
    assert settings["cloud"]["enable_orchestration_telemetry"] is False
    assert settings["telemetry"]["enable_resource_metrics"] is False
    assert settings["server"]["ui"]["show_promotional_content"] is False
    assert str(settings["worker"]["query_seconds"]) == "1.0"
    assert settings["server"]["services"]["late_runs"]["loop_seconds"] == 2.0


async def check_schema(api: httpx.AsyncClient) -> None:
    """The parameters are typed, so that a wrong one is refused before a run exists."""
    report = await deployment(api, "daily-report/analytics")
    schema = report["parameter_openapi_schema"]
    assert schema["required"] == ["day"]
    assert schema["properties"]["region"]["enum"] == ["eu", "us", "apac"]
    assert schema["properties"]["limit"]["minimum"] == 1
    wrong = {"parameters": {"day": "2026-11-22", "limit": 0}}
    assert (await api.post(f"deployments/{report['id']}/create_flow_run", json=wrong)).status_code == 409
    pool = (await api.get("work_pools/k8s-prod")).json()
    assert pool["type"] == "kubernetes"
    assert "image" in pool["base_job_template"]["variables"]["properties"]


async def check_runs(api: httpx.AsyncClient) -> None:
    """A triggered run completes; a completed, a failed and a late one are there to be looked at."""
    report = await deployment(api, "daily-report/analytics")
    parameters = {"day": "2026-11-22", "region": "apac", "limit": 2}
    created = await api.post(
        f"deployments/{report['id']}/create_flow_run", json={"parameters": parameters, "name": "triggered"}
    )
    created.raise_for_status()
    await until(lambda: named(api, "triggered", "COMPLETED"), within=60)
    await until(lambda: of_flow(api, "daily-report", "COMPLETED", 2), within=60)
    await until(lambda: of_flow(api, "load-orders", "FAILED", 1), within=60)
    await until(states(api, "Late"), within=60)


async def named(api: httpx.AsyncClient, name: str, state: str) -> list[dict[str, Any]]:
    runs = {"name": {"any_": [name]}, "state": {"type": {"any_": [state]}}}
    return await found(api, "flow_runs/filter", {"flow_runs": runs})


async def of_flow(api: httpx.AsyncClient, flow: str, state: str, count: int) -> bool:
    body = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"state": {"type": {"any_": [state]}}}}
    return len(await found(api, "flow_runs/filter", body)) == count


# The demo in a process of its own, with a run under way, as the command line would hold it.
DEMO = """
    import asyncio, sys
    from pathlib import Path
    import httpx
    from bot.demo.server import DemoPrefect

    async def main(folder):
        async with DemoPrefect(folder, str) as demo:
            # The caller's proxy leads nowhere.
            async with httpx.AsyncClient(base_url=demo.api_url, trust_env=False) as api:
                train = (await api.get("deployments/name/train-model/weekly")).json()["id"]
                (await api.post(f"deployments/{train}/create_flow_run", json={})).raise_for_status()
            print(demo.api_url)
            await asyncio.sleep(600)

    asyncio.run(main(Path(sys.argv[1])))
"""


def lay_traps(home: Path) -> None:
    """Files from which Prefect would take a production server's address."""
    (home / ".prefect").mkdir()
    url = CALLERS["PREFECT_API_URL"]
    profile = f'active = "production"\n[profiles.production]\nPREFECT_API_URL = "{url}"\n'
    (home / ".prefect" / "profiles.toml").write_text(profile)
    (home / ".env").write_text(f"PREFECT_API_URL={url}\n")
    (home / "prefect.toml").write_text(f'[api]\nurl = "{url}"\n')


@pytest.mark.slow
@pytest.mark.timeout(SLOW_SECONDS)
@needs_proc
async def test_a_killed_demo_leaves_nothing_knew_nothing_of_its_caller_and_starts_again(
    tmp_path: Path,
) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    data.mkdir()
    lay_traps(home)
    async with program(DEMO, str(data), HOME=str(home), **CALLERS) as demo:
        api_url = await said(demo, seconds=100)
        engine = await until(lambda: flow_run_process(data), within=60)
        assert engine["PREFECT_API_URL"] == api_url
        for known in processes_below(data).values():
            assert known["PREFECT_API_URL"] == api_url
            assert not [name for name in known if ABSENT in known[name] or "callers" in known[name]]
        demo.kill()
        await nothing_is_left(data)
    async with DemoPrefect(data, lambda _: None) as again:
        assert again.deployments == NAMES
    assert not processes_below(data)


def flow_run_process(data: Path) -> dict[str, str]:
    """The variables of the process that a flow run has, once there is one."""
    runs = [known for known in processes_below(data).values() if "PREFECT__FLOW_RUN_ID" in known]
    return runs[0] if runs else {}
