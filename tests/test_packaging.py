"""What is shipped: the wheel, the image, the composed services, the two commands: they must fit together."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from bot.settings import PREFECT_VARIABLES, Settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
# The stage that becomes the image.
IMAGE = DOCKERFILE.rpartition("\nFROM ")[2]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


def pins() -> dict[str, list[Version]]:
    """constraints.txt: name → versions (several where they depend on the Python version)."""
    found: dict[str, list[Version]] = {}
    for name, version in PIN.findall((ROOT / "constraints.txt").read_text()):
        found.setdefault(normal(name), []).append(Version(version))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"].values()
    return [Requirement(line) for part in (PROJECT["project"]["dependencies"], *extras) for line in part]


# -- dependencies and the wheel


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_every_direct_dependency_is_pinned_to_a_version_that_it_allows(requirement: Requirement) -> None:
    versions = pins().get(normal(requirement.name), [])
    assert versions, f"constraints.txt does not pin {requirement.name}"
    assert all(version in requirement.specifier for version in versions)


def test_what_is_no_python_is_in_the_wheel_as_well(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling, which is not installed")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    command = (sys.executable, "-c", build, str(tmp_path))
    name = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()[-1]
    with zipfile.ZipFile(tmp_path / name) as wheel:
        shipped = set(wheel.namelist())
    assert data_files() <= shipped
    assert not [path for path in shipped if path.startswith("tests/")]
    assert any(path.endswith("/licenses/LICENSE") for path in shipped)


def data_files() -> set[str]:
    """The files that the program reads at run time, relative to the repository."""
    patterns = ("knowledge/field_guide/*.md", "bot/personas/*.md", "bot/migrations/**/*.py", "bot/demo/*.py")
    found = {pattern: [str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)] for pattern in patterns}
    assert all(found.values()), found
    return {path for paths in found.values() for path in paths}


# -- the image


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\d+)", IMAGE, re.MULTILINE)
    assert users
    assert "0" not in users


def test_the_image_starts_a_command_that_the_wheel_installs() -> None:
    program, subcommand = json.loads(instruction("CMD"))
    assert program in PROJECT["project"]["scripts"]
    assert subcommand == "serve"


def test_the_builder_is_sent_all_that_it_copies_and_nothing_secret() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    sources = {source for words in copied for source in words if not words[0].startswith("--from")}
    assert sources == let_in
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= sources
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_images_variables_are_settings_of_ours() -> None:
    ours = set(re.findall(r"\b(ASK_MARVIN_\w+)=", IMAGE))
    assert {"ASK_MARVIN_HOME", "ASK_MARVIN_HOST", "ASK_MARVIN_PORT"} <= ours <= set(setting_names())


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_healthz_past_any_proxy(status: int, healthy: bool) -> None:
    command = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    with answering(status) as server:
        script = command[-1].replace(":3000/", f":{server.server_port}/")
        environment = os.environ | {"http_proxy": "http://127.0.0.1:1"}
        checked = subprocess.run([sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL)
    assert (checked.returncode == 0) is healthy
    assert server.paths == ["/healthz"]


def instruction(name: str) -> str:
    """The arguments of the image's last instruction of that name, continuation lines joined."""
    lines = re.findall(rf"^{name} (.*)$", IMAGE.replace("\\\n", ""), re.MULTILINE)
    return str(lines[-1])


class Answering(ThreadingHTTPServer):
    """Answers every GET with one status and remembers what was asked for."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = status
        self.paths: list[str] = []


class Answer(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def answering(status: int) -> Iterator[Answering]:
    with Answering(status) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# -- the composed services


def setting_names() -> list[str]:
    return [str(field.alias) for field in Settings.model_fields.values()] + list(PREFECT_VARIABLES)


def variables(service: str) -> dict[str, str]:
    known: dict[str, str] = SERVICES[service]["environment"]
    return known


def without_defaults(text: str) -> str:
    """`${NAME:-value}` as compose fills it in when NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_the_bot_is_given_settings_that_it_has() -> None:
    assert set(variables("bot")) <= set(setting_names())


def test_the_database_is_the_one_that_postgres_makes() -> None:
    url = urlsplit(without_defaults(variables("bot")["DATABASE_URL"]))
    made = {name: without_defaults(value) for name, value in variables("postgres").items()}
    assert (url.scheme, url.hostname, url.port) == ("postgresql", "postgres", 5432)
    assert (url.username, url.password) == (made["POSTGRES_USER"], made["POSTGRES_PASSWORD"])
    assert url.path == f"/{made['POSTGRES_DB']}"


def test_prefect_has_a_database_of_its_own_on_the_same_server() -> None:
    url = urlsplit(without_defaults(variables("prefect")["PREFECT_API_DATABASE_CONNECTION_URL"]))
    mounted = SERVICES["postgres"]["configs"][0]
    assert mounted["target"].startswith("/docker-entrypoint-initdb.d/")
    assert f"CREATE DATABASE {url.path[1:]} " in COMPOSE["configs"][mounted["source"]]["content"]
    assert url.hostname == "postgres"
    assert url.path != urlsplit(variables("bot")["DATABASE_URL"]).path


def test_the_bot_finds_prefect_and_chroma_where_they_listen() -> None:
    assert variables("bot")["PREFECT_API_URL"] == "http://prefect:4200/api"
    assert "127.0.0.1:4200:4200" in SERVICES["prefect"]["ports"]
    assert variables("bot")["CHROMA_URL"] == "http://chroma:8000"
    assert "/127.0.0.1/8000" in SERVICES["chroma"]["healthcheck"]["test"][-1]


def test_no_credential_for_another_prefect_server_reaches_this_one() -> None:
    assert variables("bot")["PREFECT_API_KEY"] == ""
    assert variables("bot")["PREFECT_API_AUTH_STRING"] == ""


@pytest.mark.parametrize(("service", "package"), [("prefect", "prefect"), ("chroma", "chromadb")])
def test_a_servers_image_has_the_version_that_the_tests_run_against(service: str, package: str) -> None:
    tag = SERVICES[service]["image"].partition(":")[2]
    assert Version(tag.partition("-")[0]) in pins()[package]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_reached_from_this_machine_alone_and_says_when_it_is_ready(service: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))
    assert "healthcheck" in SERVICES[service] or (service == "bot" and "HEALTHCHECK" in IMAGE)
    for needed in SERVICES[service].get("depends_on", {}).values():
        assert needed == {"condition": "service_healthy"}


def test_every_volume_is_named() -> None:
    used = {
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    }
    assert used == set(COMPOSE["volumes"])


# -- the two commands


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the commands need of a checkout, without a virtual environment."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Variables of a make that runs these tests are not for the one under test.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ("make", "--no-print-directory", *words),
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_without_a_fitting_python_one_sentence_says_what_to_do(checkout: Path) -> None:
    done = make(checkout, "PYTHON=/bin/false", "demo")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(told) == 1
    assert "Python 3.11 to 3.14" in told[0]
    assert "make PYTHON=/path/to/python" in told[0]
    assert not (checkout / ".venv").exists()


def stand_in(checkout: Path, name: str, code: int = 0) -> None:
    """A program of the virtual environment that only writes down how it was called."""
    program = checkout / ".venv" / "bin" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\necho {name} "$@" >>calls\nexit {code}\n')
    program.chmod(0o755)


def calls(checkout: Path, what: str) -> list[str]:
    """The calls that hold `what`."""
    return [line for line in (checkout / "calls").read_text().splitlines() if what in line]


def test_an_installed_environment_is_used_again_until_the_dependencies_change(checkout: Path) -> None:
    stand_in(checkout, "python")
    for _ in range(2):
        assert make(checkout, "test").returncode == 0
    assert calls(checkout, "-m pytest") == ["python -m pytest -m not slow -n 2 --dist loadfile"] * 2
    [install] = calls(checkout, "-m pip install")
    assert install.endswith("--constraint constraints.txt --editable .[demo,dev]")
    (checkout / "constraints.txt").write_text("# changed\n")
    make(checkout, "test-slow")
    assert len(calls(checkout, "-m pip install")) == 2
    assert calls(checkout, "-m slow")


def test_the_demo_is_content_with_the_environment_of_the_tests(checkout: Path) -> None:
    stand_in(checkout, "python")
    stand_in(checkout, "ask-marvin")
    make(checkout, "test")
    assert make(checkout, "demo").returncode == 0
    assert len(calls(checkout, "-m pip install")) == 1
    assert calls(checkout, "ask-marvin demo")


@pytest.mark.parametrize(("program", "target"), [("python", "test"), ("ask-marvin", "demo")])
def test_what_fails_makes_the_command_fail(checkout: Path, program: str, target: str) -> None:
    stand_in(checkout, "python")
    make(checkout, "test")
    stand_in(checkout, "ask-marvin", code=3)
    if program == "python":
        failing = checkout / ".venv" / "bin" / "python"
        failing.write_text('#!/bin/sh\n[ "$2" != pytest ]\n')
    assert make(checkout, target).returncode != 0


def test_the_continuous_integration_runs_the_same_commands_as_people() -> None:
    steps = re.findall(r'^step "[^"]+" (.+)$', (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert steps == [".ci/venv demo,dev", "postgres", "make lint", "make test", "make test-slow"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
