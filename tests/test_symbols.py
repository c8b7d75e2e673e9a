"""Reading commands, settings and names from Prefect's files, wherever they come from, without importing them."""

import json
import logging
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from knowledge.errors import BadInput
from knowledge.symbols.commands import read_commands
from knowledge.symbols.package import Origin, bring_up_to_date, load_origin, origin_of
from knowledge.symbols.settings import read_settings
from knowledge.symbols.table import Command, Symbols, read_symbols, write_symbols
from tests.fakes.prefect_wheel import FILES, TYPER, write_unpacked, write_wheel


@pytest.fixture(scope="module")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> Symbols:
    wheel = write_wheel(tmp_path_factory.mktemp("wheel"))
    found = bring_up_to_date(Origin(path=wheel), None)
    assert found is not None
    return found


def command(symbols: Symbols, *path: str) -> Command:
    found = symbols.cli
    for name in path:
        found = found.commands[name]
    return found


def test_commands_and_their_aliases_are_found_in_groups_that_are_loaded_late(symbols: Symbols) -> None:
    paths = {" ".join(path) for path, _ in symbols.cli.walk()}
    assert paths == {
        *("", "deploy", "deploy init", "init", "worker", "worker start"),
        *(f"{pool}{rest}" for pool in ("work-pool", "work-pools") for rest in POOL_COMMANDS),
    }


POOL_COMMANDS = ("", " create", " make", " set-concurrency-limit", " storage", " storage inspect")


def test_flags_are_those_that_are_named_and_those_made_of_parameters(symbols: Symbols) -> None:
    assert command(symbols, "work-pool", "create").flags == {
        *("--help", "--name", "--type", "-t", "--paused", "--running")
    }
    assert {"--name", "-n", "--all", "--no-all", "--entrypoint", "-jv"} <= command(symbols, "deploy").flags
    assert {"--profile", "-p", "--no-prompt", "--version", "-v"} <= symbols.cli.flags
    assert "--launcher-arg" in command(symbols, "worker", "start").flags
    assert command(symbols, "worker", "start").takes_any_flag


def test_a_group_that_runs_itself_is_told_from_one_that_does_not(symbols: Symbols) -> None:
    assert command(symbols, "deploy").runs
    assert not command(symbols, "work-pool").runs
    assert not symbols.cli.runs


def test_an_older_command_line_is_read_as_well(tmp_path: Path) -> None:
    tree = read_commands(write_unpacked(tmp_path, TYPER) / "prefect")
    assert set(tree.commands) == {"worker", "workers"}
    assert tree.commands["worker"].commands["start"].flags == {
        *("--help", "-p", "--pool", "--limit", "--no-ui", "--ui")
    }


def test_a_file_that_cannot_be_parsed_is_left_out(tmp_path: Path) -> None:
    files = {**FILES, "prefect/cli/broken.py": "def broken(:\n"}
    assert "worker" in read_commands(write_unpacked(tmp_path, files) / "prefect").commands


def test_settings_have_the_names_of_their_variables(symbols: Symbols) -> None:
    assert symbols.settings == {
        *("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_CLOUD_KEY"),
        *("PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED", "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS"),
        *("PREFECT_PROFILE", "PREFECT_LOGGING_LEVEL"),
    }


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("PREFECT_API_URL", True),
        ("PREFECT_API_", True),
        ("PREFECT_", True),
        ("PREFECT_ORION_", False),
        ("PREFECT_ORION_API_URL", False),
        ("PREFECT_LOGGING_LOGGERS_PREFECT_LEVEL", True),
        ("PREFECT_API", False),
    ],
)
def test_a_setting_or_the_beginning_of_one_is_known(symbols: Symbols, name: str, known: bool) -> None:
    assert symbols.has_setting(name) == known


@pytest.mark.parametrize(
    ("name", "known"),
    [
        pytest.param("prefect.flow", True, id="exported"),
        pytest.param("prefect.Flow.deploy", True, id="method-through-an-export"),
        pytest.param("prefect.flows.Flow.serve", True, id="inherited-from-a-private-class"),
        pytest.param("prefect.flow.from_source", True, id="of-the-decorator"),
        pytest.param("prefect.flow.deploy", True, id="of-what-the-decorator-makes"),
        pytest.param("prefect.flow.build", False, id="of-neither"),
        pytest.param("prefect.runtime.flow_run.id", True, id="made-when-asked-for"),
        pytest.param("prefect.runtime.flow_run.ids", False, id="not-made-when-asked-for"),
        pytest.param("prefect.blocks.system.Secret.load", True, id="inherited"),
        pytest.param("prefect.blocks.system.Secret.model_dump", True, id="inherited-from-outside"),
        pytest.param("prefect.blocks.system.Secret.laod", False, id="not-inherited"),
        pytest.param("prefect.settings.values.Odd.anything", True, id="base-that-cannot-be-read"),
        pytest.param("prefect.engine.pause_flow_run", True, id="moved"),
        pytest.param("prefect.deployments.run_deployment", True, id="function"),
        pytest.param("prefect.deployments.run_deployment.x", True, id="beneath-a-function"),
        pytest.param("prefect.deployments.Deployment", False, id="removed"),
        pytest.param("prefect.orion", False, id="no-module"),
        pytest.param("prefect._internal.whatever", True, id="private"),
        pytest.param("prefect.resource.id", True, id="label"),
        pytest.param("prefect.asset.other", True, id="event-of-a-known-kind"),
    ],
)
def test_a_dotted_name_is_followed_as_far_as_it_can_be(symbols: Symbols, name: str, known: bool) -> None:
    assert symbols.has_name(name) == known


def test_what_the_package_says_was_removed_is_known_with_its_substitute(symbols: Symbols) -> None:
    assert symbols.removed == {"prefect.deployments.Deployment": "Use `flow.deploy()` instead."}


def test_an_unpacked_folder_gives_the_same_as_its_wheel(symbols: Symbols, tmp_path: Path) -> None:
    found = bring_up_to_date(Origin(path=write_unpacked(tmp_path)), None)
    assert found is not None
    assert found.model_copy(update={"read_at": symbols.read_at}) == symbols
    assert found.version == "3.9.9"


def test_a_table_is_the_same_after_it_was_written_and_read(symbols: Symbols, tmp_path: Path) -> None:
    write_symbols(tmp_path, symbols)
    assert read_symbols(tmp_path) == symbols
    (tmp_path / "symbols.json").write_text("{")
    assert read_symbols(tmp_path) is None


def test_a_table_of_the_same_version_is_not_read_again(symbols: Symbols, tmp_path: Path) -> None:
    same, other = write_wheel(tmp_path), write_wheel(tmp_path, version="4.0.0")
    assert bring_up_to_date(Origin(path=same), symbols) is symbols
    assert bring_up_to_date(Origin(path=same), symbols, full=True) is not symbols
    newer = bring_up_to_date(Origin(path=other), symbols)
    assert newer is not None
    assert newer.version == "4.0.0"
    of_older_reader = symbols.model_copy(update={"reader": 0})
    assert bring_up_to_date(Origin(path=same), of_older_reader) is not of_older_reader


def test_what_cannot_be_read_is_said_once_and_the_older_table_stays(
    symbols: Symbols, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "prefect-3.1.0-py3-none-any.whl"
    broken.write_text("no zip")
    for path in (broken, tmp_path / "missing.whl", tmp_path):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert bring_up_to_date(Origin(path=path), symbols) is symbols
        assert len(caplog.records) == 1
        assert "3.9.9 stays" in caplog.text
    assert bring_up_to_date(Origin(path=broken), None) is None


def test_files_that_are_no_prefect_fail_their_reader_alone(
    symbols: Symbols, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_unpacked(tmp_path, {"prefect/__init__.py": "def (:"}, version="5.0.0")
    assert bring_up_to_date(Origin(path=folder), symbols) is symbols
    assert "Prefect 5.0.0 were not understood" in caplog.text


def test_a_wheel_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "prefect-3.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prefect/__init__.py", "#" * 101_000_000)
    assert bring_up_to_date(Origin(path=path), None) is None
    assert "too large" in caplog.text


@pytest.mark.parametrize(
    ("offset", "byte"), [(8, 99), (6, 1), (60, 0xFF)], ids=["packed otherwise", "encrypted", "damaged"]
)
def test_a_wheel_that_cannot_be_unpacked_is_said_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, offset: int, byte: int
) -> None:
    path = tmp_path / "prefect-3.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prefect/__init__.py", "x = 1\n" * 5_000)
    wheel = bytearray(path.read_bytes())
    wheel[offset] = byte
    if offset < 10:  # What the directory at the end says of the file is what counts.
        wheel[wheel.find(b"PK\x01\x02") + offset + 2] = byte
    path.write_bytes(wheel)
    assert bring_up_to_date(Origin(path=path), None) is None
    assert "cannot be read as a wheel" in caplog.text


def test_a_version_that_is_not_installed_is_fetched_by_pip_as_it_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_wheel(tmp_path, version="9.9.9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    found = bring_up_to_date(Origin(version="9.9.9"), None)
    assert found is not None
    assert found.version == "9.9.9"
    assert bring_up_to_date(Origin(version="9.9.8"), found) is found
    assert "pip could not download prefect==9.9.8" in caplog.text


def test_sources_toml_names_a_version_or_a_path_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "sources.toml"
    assert load_origin(None) == Origin()
    for text, origin in [
        ("", Origin()),
        ('prefect = "3.8.8"', Origin(version="3.8.8")),
        ('prefect = "4.0.0rc1"', Origin(version="4.0.0rc1")),
        ('prefect = "wheels/prefect.whl"', Origin(path=tmp_path / "wheels/prefect.whl")),
    ]:
        file.write_text(text)
        assert load_origin(file) == origin
    file.write_text("prefect = 3.8")
    with pytest.raises(BadInput, match="prefect"):
        load_origin(file)
    assert origin_of("/opt/prefect", tmp_path) == Origin(path=Path("/opt/prefect"))


def test_the_newest_is_asked_for_no_more_often_than_once_a_day(symbols: Symbols, tmp_path: Path) -> None:
    """In a process of its own, where no Prefect can be found."""
    script = """
import sys
sys.path = [path for path in sys.path if not path.endswith("site-packages")] + sys.argv[2:]
from pathlib import Path
from knowledge.symbols.package import Origin, bring_up_to_date
from knowledge.symbols.table import read_symbols
older = read_symbols(Path(sys.argv[1]))
print(bring_up_to_date(Origin(), older) is older)
"""
    packages = tmp_path / "packages"
    packages.mkdir()
    site = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    for name in ("pydantic", "pydantic_core", "typing_extensions.py", "annotated_types", "typing_inspection"):
        (packages / name).symlink_to(site / name)
    for age, stays in ((timedelta(hours=1), True), (timedelta(days=2), True)):
        write_symbols(tmp_path, symbols.model_copy(update={"read_at": datetime.now(UTC) - age}))
        command = [sys.executable, "-c", script, str(tmp_path), str(packages)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PIP_NO_INDEX": "1", "PYTHONPATH": "."},
            check=True,
        )
        assert done.stdout.strip() == str(stays)
        assert ("could not download" in done.stderr) == (age > timedelta(days=1))


@pytest.mark.slow
def test_the_installed_prefect_is_read_without_importing_it_or_what_reads_it() -> None:
    script = (
        "import sys; from knowledge.symbols.package import *; found = bring_up_to_date(Origin(), None);"
        "assert found and found.has_name('prefect.flow.from_source');"
        "assert not {'prefect', 'griffe'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_installed_prefect_has_what_its_documentation_begins_with() -> None:
    """Of names that every version of Prefect 3 has, so that a newer one passes as well."""
    package = installed()
    tree, settings = read_commands(package), read_settings(package)
    assert {"--type", "-t"} <= tree.commands["work-pool"].commands["create"].flags
    assert {"--pool", "-p"} <= tree.commands["worker"].commands["start"].flags
    assert {"--job-variable", "-jv"} <= tree.commands["deployment"].commands["run"].flags
    assert {"PREFECT_API_URL", "PREFECT_API_KEY", "PREFECT_HOME", "PREFECT_PROFILE"} <= settings
    assert "PREFECT_SERVER" not in settings


def installed() -> Path:
    from importlib.util import find_spec

    spec = find_spec("prefect")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


REAL_TREE = """
import json
from prefect.cli._app import _app

def walk(app, path):
    arguments = app.assemble_argument_collection() if app.default_command else []
    found[" ".join(path)] = sorted({name for each in arguments for name in each.names if name[0] == "-"})
    for name in app:
        if not name.startswith("-"):
            walk(app[name], [*path, name])

found = {}
walk(_app, [])
print(json.dumps(found))
"""
REAL_SETTINGS = """
import json
from prefect.settings.models.root import Settings, _get_settings_accessors
print(json.dumps([name for name in _get_settings_accessors(Settings) if name.isupper()]))
"""


@pytest.mark.slow
def test_the_tree_that_is_read_is_the_one_that_the_installed_prefect_builds() -> None:
    real = json.loads(in_python(REAL_TREE))
    read = {" ".join(path): command for path, command in read_commands(installed()).walk()}
    assert read.keys() == real.keys()
    for path, flags in real.items():
        # cyclopts gives every list an `--empty-…`, and joins a flag and its opposite that are written as one.
        missing = {flag for flag in flags if not flag.startswith("--empty-") and "/" not in flag} - read[
            path
        ].flags
        assert not missing, path


@pytest.mark.slow
def test_the_settings_that_are_read_are_those_that_the_installed_prefect_has() -> None:
    real = set(json.loads(in_python(REAL_SETTINGS)))
    assert real <= read_settings(installed())


def in_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout
