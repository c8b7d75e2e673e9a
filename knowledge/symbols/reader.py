"""Reading the whole table of a Prefect package, as a process of its own, whose memory is free afterwards."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from knowledge.symbols.commands import read_commands
from knowledge.symbols.names import read_names, read_removed, read_texts
from knowledge.symbols.settings import OPEN_PREFIXES, read_settings
from knowledge.symbols.table import Symbols


def read_package(package: Path, version: str) -> Symbols:
    """Read the package's folder, which takes some seconds and, for as long, 100 MB."""
    return Symbols(
        version=version,
        read_at=datetime.now(UTC),
        cli=read_commands(package),
        settings=read_settings(package),
        setting_prefixes=OPEN_PREFIXES,
        scopes=read_names(package),
        texts=read_texts(package),
        removed=read_removed(package),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("package", type=Path)
    parser.add_argument("version")
    options = parser.parse_args()
    table = read_package(options.package, options.version).model_dump_json()
    try:
        sys.stdout.write(table)
        sys.stdout.flush()
    except BrokenPipeError:
        # The build was stopped meanwhile; nobody waits for the table, and the exit may not write again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
