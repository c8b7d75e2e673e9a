"""How many names on a documentation's own pages the answer contract would mark as not in Prefect.

Run `python -m tests.symbols_report --docs FOLDER`, with `--prefect` for another version, wheel or folder. Each page
passes the egress filter as an answer would; what is left is listed, to be looked at by a person.
"""

import argparse
import logging
import time
from collections import Counter
from pathlib import Path

from bot.egress.filter import EgressFilter
from bot.egress.links import Links
from bot.egress.symbol_marks import SymbolMarks
from knowledge.models import Page
from knowledge.symbols.package import Origin, bring_up_to_date, origin_of
from knowledge.symbols.since import first_seen
from knowledge.symbols.table import Symbols

WANTED = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", type=Path, required=True, help="a folder of Markdown pages")
    parser.add_argument("--prefect", help="a version, a wheel or an unpacked folder; else what is installed")
    options = parser.parse_args()
    logging.basicConfig()
    began = time.perf_counter()
    origin = origin_of(options.prefect, Path.cwd()) if options.prefect else Origin()
    symbols = bring_up_to_date(origin, None)
    if symbols is None:
        raise SystemExit("There is no Prefect to read.")
    print(f"Prefect {symbols.version}, read in {time.perf_counter() - began:.1f} s")
    tell_table(symbols)
    tell_marks(options.docs, symbols)
    tell_since(options.docs, symbols)


def tell_table(symbols: Symbols) -> None:
    commands = sum(1 for _ in symbols.cli.walk()) - 1
    names = sum(len(scope.members) for scope in symbols.scopes.values())
    print(f"  {commands} commands, {len(symbols.settings)} settings, {names} names")


def tell_marks(docs: Path, symbols: Symbols) -> None:
    marks = {page: marks_on(page, symbols) for page in sorted(docs.rglob("*.md*"))}
    checked = sum(mark.checked for mark in marks.values())
    unknown = sum(len(mark.unknown) for mark in marks.values())
    print(
        f"{len(marks)} pages: {checked} names checked, {unknown} marked: {unknown / checked:.2%} (< {WANTED:.0%})"
    )
    counts = Counter((name, page) for page, mark in marks.items() for name in mark.unknown)
    for (name, page), count in sorted(counts.items()):
        print(f"  {name}  ({count}, {page.relative_to(docs)})")


def marks_on(page: Path, symbols: Symbols) -> SymbolMarks:
    marks = SymbolMarks(symbols)
    egress = EgressFilter(links=Links(), redact=str, marks=marks)
    egress.feed(page.read_text(encoding="utf-8", errors="replace"))
    egress.close()
    return marks


def tell_since(docs: Path, symbols: Symbols) -> None:
    pages = [
        Page(
            path.relative_to(docs).with_suffix("").as_posix(),
            "",
            "",
            "docs",
            path.read_text(encoding="utf-8"),
        )
        for path in docs.rglob("release-notes/**/*.md*")
    ]
    found = first_seen(pages, symbols)
    print(f"{len(found)} names of which the release notes tell since when they have been there:")
    for name, version in sorted(found.items(), key=lambda item: (item[1], item[0])):
        print(f"  {version}  {name}")


if __name__ == "__main__":
    main()
