"""Which lines of a traceback are the user's own, and which are Python's, Prefect's or a library's. Pure."""

import re
from collections.abc import Sequence
from dataclasses import replace

from tools.failure.traceback import CodeFrame

# Python's own folder, in an installation, a virtual or conda environment, on Windows and in a zip.
_STANDARD = re.compile(r"/lib(?:32|64)?/(?:python|pypy)\d[\d.]*t?/|/python\d{2,3}\.zip/", re.IGNORECASE)
_WINDOWS_STANDARD = re.compile(r"^[a-z]:/.*python[^/]*/lib/", re.IGNORECASE)
_PACKAGES = re.compile(r"/(?:site|dist)-packages/(?P<package>[^/]+)")
# Prefect installed from a clone. Folders that are just named prefect hold users' flows: its image's is one.
_PREFECT_SOURCE = re.compile(r"/src/prefect/|/src/integrations/prefect-[a-z-]+/prefect_")
# The last of Prefect's frames before a flow's or task's function, or before its file is imported.
_CALLS = frozenset(
    {"call_with_parameters", "call_flow_fn", "call_task_fn", "load_script_as_module", "load_module"}
)
_UNREAL = re.compile(r"^<[^>]*>$")


def user_frame(frames: Sequence[CodeFrame]) -> CodeFrame | None:
    """The innermost frame in the user's own code; None when it cannot be told.

    Code that was installed as a package (`pip install .` in an image) lies among the libraries. It is known
    by being what Prefect called: the package of the first frame after Prefect's own.
    """
    own = [frame for frame in frames if not is_library(frame.file)]
    if not own and (package := _called_package(frames)):
        own = [frame for frame in frames if package_of(frame.file) == package]
    return _in_named_function(own) if own else None


def _in_named_function(own: Sequence[CodeFrame]) -> CodeFrame:
    """The innermost; within `<genexpr>` or `<lambda>` under the name of the function around it."""
    inmost = own[-1]
    around = (frame.function for frame in reversed(own) if frame.file == inmost.file)
    named = next((name for name in around if not _UNREAL.match(name)), inmost.function)
    return replace(inmost, function=named)


def is_library(file: str) -> bool:
    path = file.replace("\\", "/")
    return bool(
        _UNREAL.match(path)
        or _PACKAGES.search(path)
        or _STANDARD.search(path)
        or _WINDOWS_STANDARD.match(path)
        or _PREFECT_SOURCE.search(path)
    )


def package_of(file: str) -> str:
    """The package's folder below site-packages; empty for all else."""
    found = _PACKAGES.search(file.replace("\\", "/"))
    return found["package"] if found else ""


def _called_package(frames: Sequence[CodeFrame]) -> str:
    prefects = [at for at, frame in enumerate(frames) if package_of(frame.file) == "prefect"]
    if not prefects or frames[prefects[-1]].function not in _CALLS:
        return ""
    return next((package for frame in frames[prefects[-1] + 1 :] if (package := package_of(frame.file))), "")
