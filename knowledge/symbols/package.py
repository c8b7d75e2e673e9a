"""Where Prefect's files come from: installed, a wheel, a folder, or fetched by pip; never imported."""

import importlib.metadata
import importlib.util
import logging
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from knowledge.errors import BadInput, ExpectedError, Unreachable
from knowledge.sources.config import option
from knowledge.symbols.table import READER, Symbols

logger = logging.getLogger(__name__)

NAME = "prefect"
# What the readers look at; a wheel also holds 20 MB of web pages.
READ = frozenset({".py", ".yml", ".yaml", ".toml"})
# Prefect 3.8's source takes 9 MB; what is so much more is no Prefect.
MAX_UNPACKED = 100_000_000
MAX_WHEEL = 100_000_000
# pip waits so long for each answer and tries so often again; then for the whole of it.
PIP_ANSWERS_WITHIN_S = 15
PIP_RETRIES = 1
PIP_WITHIN_S = 120
# Reading takes three seconds; twenty times that on a machine that is busy.
READ_WITHIN_S = 60
# With no version configured and none installed, the newest is fetched: asked for no more often than this.
NEWEST_HOLDS = timedelta(days=1)
# What unpacking raises at a file that is damaged, encrypted or packed in an unknown way.
UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)

_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+!-]*")
_WRITTEN_VERSION = re.compile(r"^__version__\s*(?::[^=\n]+)?=\s*[\"']([^\"'\n]+)[\"']", re.MULTILINE)


@dataclass(frozen=True)
class Origin:
    """Which Prefect is meant: a version, or a wheel or unpacked folder; neither for what is installed."""

    version: str = ""
    path: Path | None = None


def load_origin(sources: Path | None) -> Origin:
    """Read `prefect = "3.8.8"`, or a path relative to the file, from the top of sources.toml.

    Raises:
        BadInput: the file cannot be read, or it is no text.
    """
    text = option(sources, NAME)
    return origin_of(text.strip(), sources.resolve().parent) if sources and text else Origin()


def origin_of(text: str, beside: Path) -> Origin:
    """A version, or a path relative to the folder `beside`."""
    if _VERSION.fullmatch(text):
        return Origin(version=text)
    return Origin(path=beside / Path(text).expanduser())


def bring_up_to_date(origin: Origin, older: Symbols | None, *, full: bool = False) -> Symbols | None:
    """Give the symbol table of that Prefect: the older one where it is still right, else read anew.

    What cannot be had is logged in one sentence, and the older table stays.
    """
    try:
        if older and not full and _still_right(origin, older):
            return older
        with _package(origin) as (folder, version):
            return _read(folder, version)
    except ExpectedError as error:
        kept = f"; that of {older.version} stays" if older else ""
        logger.warning("No symbol table of Prefect was read%s: %s", kept, error)
        return older


def _read(package: Path, version: str) -> Symbols:
    """Read the table in a process of its own: a build would keep the memory that griffe takes."""
    command = [sys.executable, "-m", "knowledge.symbols.reader", str(package), version]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=READ_WITHIN_S)
        return Symbols.model_validate_json(done.stdout)
    except (subprocess.SubprocessError, ValidationError) as error:
        raise ExpectedError(
            f"The files of Prefect {version} were not understood.", "Set another version in sources.toml."
        ) from error


def _still_right(origin: Origin, older: Symbols) -> bool:
    if older.reader != READER:
        return False
    if origin.path:
        return older.version == _version_at(origin.path)
    version = origin.version or _installed_version()
    if version:
        return older.version == version
    return older.read_at is not None and datetime.now(UTC) - older.read_at < NEWEST_HOLDS


@contextmanager
def _package(origin: Origin) -> Iterator[tuple[Path, str]]:
    """The package's folder and its version, for as long as it is read."""
    installed = _installed_version()
    if origin.path and origin.path.is_dir():
        yield _folder_in(origin.path), _version_at(origin.path)
    elif installed and not origin.path and origin.version in ("", installed):
        yield _installed_folder(), installed
    else:
        with tempfile.TemporaryDirectory(prefix="ask-marvin-prefect-") as folder:
            wheel = origin.path or _download(origin.version, Path(folder))
            yield _unpack(wheel, Path(folder) / "unpacked"), _version_at(wheel)


def _installed_version() -> str:
    """Its version, when Prefect is installed beside this program; finding a package does not import it."""
    if importlib.util.find_spec(NAME) is None:
        return ""
    try:
        return importlib.metadata.version(NAME)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _installed_folder() -> Path:
    spec = importlib.util.find_spec(NAME)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _folder_in(path: Path) -> Path:
    """The package in an unpacked wheel, or in a source tree, or itself."""
    for folder in (path / NAME, path / "src" / NAME, path):
        if folder.name == NAME and (folder / "__init__.py").is_file():
            return folder
    raise BadInput(
        f"There is no package {NAME!r} in {str(path)!r}.",
        "Set `prefect` in sources.toml to a version, a wheel or an unpacked wheel.",
    )


def _version_at(path: Path) -> str:
    """The version that a wheel's name or an unpacked folder tells; BadInput when it is neither."""
    if not path.exists():
        raise BadInput(
            f"There is no Prefect at {str(path)!r}.", "Correct `prefect` in sources.toml, or leave it out."
        )
    if path.is_file():
        return path.name.split("-")[1] if path.name.startswith(f"{NAME}-") else "unknown"
    package = _folder_in(path)
    metadata = sorted(package.parent.glob(f"{NAME}-*.dist-info"))
    if metadata:
        return metadata[0].name.removesuffix(".dist-info").split("-")[1]
    written = (
        _WRITTEN_VERSION.search(file.read_text(encoding="utf-8"))
        for file in (package / "_build_info.py", package / "__init__.py")
        if file.is_file()
    )
    return next((match[1] for match in written if match), "unknown")


def _unpack(wheel: Path, into: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            wanted = [
                member
                for member in archive.infolist()
                if member.filename.startswith(f"{NAME}/") and Path(member.filename).suffix in READ
            ]
            if sum(member.file_size for member in wanted) > MAX_UNPACKED:
                raise BadInput(f"{wheel.name} is too large to be Prefect's wheel.", "Set another one.")
            archive.extractall(into, wanted)
    except UNREADABLE as error:
        raise BadInput(
            f"{wheel.name} cannot be read as a wheel.", "Download it again, or name a version instead."
        ) from error
    return _folder_in(into)


def _download(version: str, folder: Path) -> Path:
    """Fetch the wheel as pip is configured to; the newest one when no version is named."""
    wanted = f"{NAME}=={version}" if version else NAME
    command = [sys.executable, "-m", "pip", "download", wanted, "--no-deps", "--only-binary", ":all:"]
    command += ["--ignore-requires-python", "--no-input", "--disable-pip-version-check", "--quiet"]
    command += ["--retries", str(PIP_RETRIES), "--timeout", str(PIP_ANSWERS_WITHIN_S), "--dest", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=PIP_WITHIN_S)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unreachable(
            f"pip could not download {wanted}.",
            'Set `prefect` in sources.toml to a version that exists, or to a wheel: prefect = "prefect.whl".',
        ) from error
    wheel = next(folder.glob(f"{NAME}-*.whl"), None)
    if wheel is None or wheel.stat().st_size > MAX_WHEEL:
        raise Unreachable(f"pip gave no usable wheel for {wanted}.", "Set `prefect` to a wheel of your own.")
    return wheel
