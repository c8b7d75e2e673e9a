"""Pictures: what is drawn, that no name can break them, and where they end up."""

import asyncio
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from bot.charts.scale import Gap, Timescale, cut_at, idle_gaps, since_midnight, step_for, ticks
from bot.durations import in_words, on_axis
from bot.picture_files import KEPT, save
from bot.pictures import Picture, Pictures

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MAX_SIDE = 4_000


def moment(seconds: float = 0) -> str:
    return (NOON + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def bar(name: str, begins: float, seconds: float, state: str = "Completed", **more: Any) -> dict[str, Any]:
    facts = {"name": name, "begins": begins, "seconds": seconds, "state": state, "kind": "task"}
    return {**facts, "state_type": state.upper(), "attempts": 1, "over": True, **more}


def a_run(
    *bars: dict[str, Any], seconds: float = 60.0, state: str = "Completed", **more: Any
) -> dict[str, Any]:
    row = {"name": "calm-otter", "id": "1", "url": "http://h/runs/1", "flow": "etl", "state": state}
    return {
        "kind": "run",
        "run": {**row, "state_type": state.upper(), "started": moment()},
        "seconds": seconds,
        "waited_seconds": 0,
        "over": True,
        "phases": [{"state": "Running", "state_type": "RUNNING", "begins": 0.0, "seconds": seconds}],
        "bars": list(bars),
        "not_started": [],
        "not_started_count": 0,
        "task_runs": len(bars),
        "failures": sum(bar["state_type"] == "FAILED" for bar in bars),
        "truncated": False,
        **more,
    }


def one_of(number: int, seconds: float, state: str = "Completed", **more: Any) -> dict[str, Any]:
    began = moment(3600 * number)
    facts = {"name": f"run-{number}", "url": "http://h/r", "state": state, "state_type": state.upper()}
    return {
        **facts,
        "due": began,
        "began": began,
        "seconds": seconds,
        "waited_seconds": 0,
        "over": True,
        **more,
    }


def a_deployment(*runs: dict[str, Any]) -> dict[str, Any]:
    states = [run["state"] for run in runs]
    return {
        "kind": "deployment",
        "name": "etl/nightly",
        "url": "http://h/deployments/1",
        "runs": list(runs),
        "older_runs_exist": False,
        "counts": {state: states.count(state) for state in states},
        "failures": states.count("Failed"),
        "median_seconds": 50.0,
    }


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return Pictures(tmp_path_factory.mktemp("fonts"))


async def picture_of(pictures: Pictures, data: dict[str, Any], time_zone: str = "UTC") -> Picture:
    picture = await pictures.draw(data, time_zone=time_zone)
    assert picture is not None
    return picture


def size_of(picture: Picture) -> tuple[int, int]:
    image = Image.open(io.BytesIO(picture.png))
    image.load()
    assert image.format == "PNG"
    return image.size


HOSTILE = (
    "pay $x_1$ and $y^{2$",
    "\\frac{a}{b} \\$5",
    "line\nbreak\ttab\x00\x1b[31m",
    "x" * 5_000,
    "日本語タスク 🚀",
    "\u202egnp.exe",
    "",
    "%s {0} {{x}} <b>&amp;",
)
RUNS = {
    "no-task": a_run(),
    "one-task": a_run(bar("extract-0", 1, 3)),
    "sixty": a_run(*(bar(f"process-{n:03}", n, 5) for n in range(60)), seconds=70),
    "retries": a_run(bar("load-0", 1, 30, "Failed", attempts=3), state="Failed"),
    "running": a_run(bar("load-0", 1, 59, "Running", over=False), state="Running", over=False),
    "never-ended": a_run(bar("orphan-0", 1, 59, "Running", over=False), state="Crashed"),
    "crashed-at-once": a_run(seconds=0.0, state="Crashed", phases=[]),
    "overnight": a_run(bar("extract-0", 10, 40_000), seconds=45_000),
    "unknown-state": a_run(bar("odd-0", 1, 3, "Resting")),
    "hostile": a_run(*(bar(name, 1, 3, name[:30] or "Failed") for name in HOSTILE)),
}
DEPLOYMENTS = {
    "one": a_deployment(one_of(0, 42.0)),
    "all-failed": a_deployment(*(one_of(n, 3.0, "Failed") for n in range(30))),
    "never-ran": a_deployment(*(one_of(n, 0.0, "Crashed") for n in range(5))),
    "one-dwarfs-the-rest": a_deployment(*(one_of(n, 5_000.0 if n == 7 else 50.0) for n in range(30))),
    "waiting": a_deployment(
        one_of(0, 50.0, waited_seconds=900),
        one_of(1, 0.0, "Late", began=None, over=False, waited_seconds=600),
    ),
    "hostile": a_deployment(*(one_of(n, 5.0, name[:60] or "x", name=name) for n, name in enumerate(HOSTILE))),
}


@pytest.mark.parametrize("data", [*RUNS.values(), *DEPLOYMENTS.values()], ids=[*RUNS, *DEPLOYMENTS])
async def test_a_picture_is_a_png_of_a_screens_width(pictures: Pictures, data: dict[str, Any]) -> None:
    picture = await picture_of(pictures, data, "Europe/Lisbon")
    width, height = size_of(picture)
    assert width == 1_440
    assert 200 < height < MAX_SIDE
    assert len(picture.png) < 1_000_000
    for line in (picture.title, picture.alt_text, picture.filename):
        assert line
        assert line.isprintable()
    assert len(picture.alt_text) <= 900


async def test_the_same_figures_give_the_same_picture(pictures: Pictures) -> None:
    first = await picture_of(pictures, RUNS["retries"])
    assert first.png == (await picture_of(pictures, RUNS["retries"])).png


async def test_a_failure_looks_otherwise_than_a_success(pictures: Pictures) -> None:
    good, bad = a_run(bar("load-0", 1, 30)), a_run(bar("load-0", 1, 30, "Failed"))
    assert (await picture_of(pictures, good)).png != (await picture_of(pictures, bad)).png


async def test_there_is_no_picture_of_nothing(pictures: Pictures) -> None:
    late = a_run(state="Late", over=False)
    late["run"].pop("started")
    assert await pictures.draw(late) is None
    assert await pictures.draw(a_deployment()) is None


async def test_pictures_that_are_drawn_together_do_not_mix(pictures: Pictures) -> None:
    cases = [*RUNS.values(), *DEPLOYMENTS.values()][:6]
    together = await asyncio.gather(*(picture_of(pictures, data) for data in cases))
    assert [picture.png for picture in together] == [(await picture_of(pictures, d)).png for d in cases]


async def test_an_unknown_time_zone_is_taken_for_utc(pictures: Pictures) -> None:
    for name in ("Mars/Olympus", "", "../../etc/passwd"):
        assert "(UTC)" in (await picture_of(pictures, RUNS["one-task"], name)).alt_text


# -- the same in words --


async def test_the_alt_text_of_a_run_tells_its_facts(pictures: Pictures) -> None:
    data = a_run(
        bar("extract-0", 1, 3),
        bar("load-0", 5, 50, "Failed", attempts=3),
        state="Failed",
        waited_seconds=106,
        not_started=["notify-0 (NotReady)"],
        not_started_count=1,
        task_runs=3,
    )
    alt = (await picture_of(pictures, data, "Europe/Berlin")).alt_text
    assert "flow run calm-otter" in alt
    assert "Failed after 1 min, began Sun 22 Nov 13:00:00 (Europe/Berlin), 1 min 46 s late" in alt
    assert "3 task runs, 1 failed" in alt
    assert "Longest: load-0, 50 s. Failed: load-0 after 3 attempts." in alt
    assert "Never began: notify-0 (NotReady)." in alt


async def test_the_alt_text_of_a_deployment_tells_its_facts(pictures: Pictures) -> None:
    data = a_deployment(
        one_of(0, 40.0), one_of(1, 900.0), one_of(2, 5.0, "Failed"), one_of(3, 50.0, waited_seconds=1320)
    )
    alt = (await picture_of(pictures, data)).alt_text
    assert "etl/nightly" in alt
    assert "Last 4 runs: 3 Completed, 1 Failed" in alt
    assert "50 s in the median. Longest: run-1, 15 min. Failed or crashed: run-2." in alt
    assert "1 waited; the longest, run-3, 22 min." in alt


async def test_a_table_says_the_same_where_no_picture_is_shown(pictures: Pictures) -> None:
    of_run = await picture_of(pictures, a_run(bar("load-0", 5, 50, "Failed", attempts=3), state="Failed"))
    assert "| `load-0` | Failed | 5.0 s | 50 s | 3 |" in of_run.table
    of_deployment = await picture_of(pictures, a_deployment(one_of(2, 5.0, "Failed", waited_seconds=120)))
    assert "| `run-2` | Failed | Sun 22 Nov 14:00:00 (UTC) | 5.0 s | 2 min |" in of_deployment.table


async def test_names_in_a_table_are_no_markup(pictures: Pictures) -> None:
    table = (await picture_of(pictures, a_run(bar("`|<!channel>|`", 1, 3, "*b* <!here>")))).table
    assert "<!here>" not in table
    assert all(line.count("|") == 6 for line in table.splitlines() if line.startswith("|"))


async def test_a_picture_that_leaves_something_out_says_so(pictures: Pictures) -> None:
    chosen = "those that failed, those still under way, then the longest"
    data = a_run(bar("a", 1, 3), task_runs=212, truncated=True, chosen=chosen)
    assert f"1 of 212 task runs: {chosen}." in (await picture_of(pictures, data)).alt_text


def test_a_span_of_time_is_said_in_two_units() -> None:
    said = [in_words(seconds) for seconds in (0, 0.04, 9.94, 9.96, 60, 125, 3_600, 7_810, 90_000, 259_200)]
    assert said == [
        "0 s",
        "0.0 s",
        "9.9 s",
        "10 s",
        "1 min",
        "2 min 5 s",
        "1 h",
        "2 h 10 min",
        "1 d 1 h",
        "3 d",
    ]
    assert [on_axis(seconds) for seconds in (0, 0.05, 30, 90)] == ["0", "0.05 s", "30 s", "1 min 30 s"]


# -- axes --


def test_ticks_are_few_and_round() -> None:
    for span in (0.05, 1, 7.3, 59, 61, 3_599, 86_400, 700_000):
        found = ticks(0.0, span, step_for(span))
        assert 1 < len(found) <= 9
        assert found[-1] <= span
    assert ticks(0.0, 0.5, 60.0, offset=41.0) == []


def test_ticks_of_a_clock_are_at_full_hours_of_the_readers_zone() -> None:
    start = datetime(2026, 11, 22, 20, 51, 46, tzinfo=UTC)
    offset = since_midnight(start, ZoneInfo("Asia/Kolkata"))
    first = start + timedelta(seconds=ticks(0.0, 36_000.0, 7_200.0, offset=offset)[0])
    assert first.astimezone(ZoneInfo("Asia/Kolkata")).strftime("%H:%M:%S") == "04:00:00"


def test_a_long_wait_is_squeezed_and_the_rest_keeps_its_order() -> None:
    scale = Timescale(1_000.0, [Gap(100.0, 800.0)])
    assert scale.gaps == (Gap(100.0, 800.0),)
    places = [scale.place(seconds) for seconds in (0, 50, 100, 500, 900, 950, 1_000)]
    assert places == sorted(places)
    assert places[1] - places[0] == pytest.approx(50)
    assert scale.length == pytest.approx(200 * 1.08)
    assert scale.stretches() == [(0.0, 100.0), (900.0, 1_000.0)]


def test_a_short_wait_is_shown_as_it_is() -> None:
    scale = Timescale(100.0, [Gap(10.0, 20.0)])
    assert (scale.gaps, scale.length, scale.place(77.0)) == ((), 100.0, 77.0)


def test_gaps_are_where_nothing_ran() -> None:
    assert idle_gaps([(0, 10), (5, 20), (50, 60)], 100) == [Gap(20, 30), Gap(60, 40)]
    assert idle_gaps([], 0.0) == []


@pytest.mark.parametrize(
    ("values", "cut"),
    [
        pytest.param([50.0] * 29 + [5_000.0], True, id="one-dwarfs-the-rest"),
        pytest.param([50.0, 60.0, 70.0, 100.0], False, id="all-alike"),
        pytest.param([1.0] * 10 + [500.0] * 10, False, id="two-kinds"),
        pytest.param([0.0] * 30, False, id="nothing-ran"),
        pytest.param([5.0, 900.0], False, id="too-few-to-say"),
    ],
)
def test_a_bar_is_cut_only_where_few_dwarf_the_rest(values: list[float], cut: bool) -> None:
    found = cut_at(values, values)
    assert (found is not None) is cut
    if found:
        assert max(value for value in values if value <= found) < found < max(values)


# -- files and the import --


def test_pictures_are_kept_in_a_folder_that_does_not_grow_for_ever(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    paths = [save(Picture(b"png", "t", "a", f"timeline-{n}.png", ""), folder) for n in range(KEPT + 3)]
    assert len(list(folder.iterdir())) == KEPT
    assert paths[-1].read_bytes() == b"png"


async def test_a_files_name_holds_nothing_but_letters_digits_and_hyphens(pictures: Pictures) -> None:
    data = a_run()
    data["run"]["name"] = "../../etc/$x \n日本"
    assert (await picture_of(pictures, data)).filename == "timeline-etc-x.png"


def test_nothing_of_the_bot_imports_matplotlib_before_a_picture_is_drawn() -> None:
    code = (
        "import importlib, pkgutil, sys, bot\n"
        "for module in pkgutil.walk_packages(bot.__path__, 'bot.'):\n"
        "    if 'demo.flows' not in module.name and 'migrations' not in module.name and '__main__' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
        "print('matplotlib' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "False"


def test_a_picture_is_drawn_with_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    code = (
        "import asyncio, json, sys, pathlib\n"
        "from bot.pictures import Pictures\n"
        "picture = asyncio.run(Pictures(pathlib.Path(sys.argv[1])).draw(json.load(sys.stdin)))\n"
        "print(len(picture.png))"
    )
    environ = {"HOME": "/proc/nowhere", "PATH": "/usr/bin:/bin"}
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "cache")],
        input=json.dumps(RUNS["one-task"]),
        capture_output=True,
        text=True,
        timeout=100,
        env=environ,
        cwd=Path(__file__).parent.parent,
    )
    assert found.returncode == 0, found.stderr
    assert int(found.stdout) > 10_000
    assert found.stderr == ""
    assert list((tmp_path / "cache").iterdir())
