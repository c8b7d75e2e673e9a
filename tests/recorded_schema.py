"""The schema that the installed Prefect records for tests/typed_flow.py, made in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.prefect_server import is_foreign

WITHIN_S = 60


@pytest.fixture(scope="session")
def typed_schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = str(tmp_path_factory.mktemp("typed-flow"))
    machine = {name: value for name, value in os.environ.items() if not is_foreign(name)}
    child = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "typed_flow.py")],
        env={**machine, "PREFECT_HOME": home, "HOME": home},
        stdout=subprocess.PIPE,
        timeout=WITHIN_S,
        check=True,
    )
    schema: dict[str, Any] = json.loads(child.stdout)
    return schema
