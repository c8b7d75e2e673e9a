"""Reading tracebacks, finding the user's line in them, and telling equal failures from others."""

import traceback
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tracebacks
from tools.failure.errors import raised_error, root_cause
from tools.failure.exit_codes import exit_of, meaning
from tools.failure.fingerprint import fingerprint, normalised
from tools.failure.frames import is_library, user_frame
from tools.failure.told import Told, told
from tools.failure.traceback import CodeFrame, ParsedTraceback, parse_traceback


def parsed(text: str) -> ParsedTraceback:
    found = parse_traceback(text)
    assert found is not None
    return found


# -- tracebacks --


def test_a_task_failure_names_its_exception_and_the_users_line() -> None:
    found = parsed(tracebacks.TASK_FAILED)
    assert [(raised.type, raised.message) for raised in found.chain] == [
        ("ValueError", "column 'customer_id' is missing in orders for 2026-03-01")
    ]
    frame = user_frame(found.last.frames)
    assert frame is not None
    assert (frame.file, frame.line, frame.function) == ("/opt/prefect/flows/etl.py", 25, "load_orders")
    assert frame.source.startswith("raise ValueError(")


def test_a_chain_keeps_its_order_and_how_one_came_from_the_other() -> None:
    found = parsed(tracebacks.IMPORT_FAILED)
    assert [(raised.type, raised.relation) for raised in found.chain] == [
        ("FileNotFoundError", "first"),
        ("ScriptError", "cause"),
    ]
    root = root_cause(found)
    assert root is not None
    assert (root.type, root.message) == (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '/opt/prefect/not_here.py'",
    )


def test_a_syntax_error_points_at_the_file_that_holds_it() -> None:
    found = parsed(tracebacks.SYNTAX_ERROR)
    assert found.chain[0].frames[-1] == CodeFrame("/opt/prefect/flows/bad.py", 3, "<module>", "def main(:")
    error = raised_error(Told("ScriptError", found.last.message), found)
    assert error is not None
    assert error.user_frame is not None
    assert error.user_frame.file.endswith("bad.py")


@pytest.mark.parametrize(
    ("text", "source"),
    [(tracebacks.MANY_LINES, "return json.loads("), (tracebacks.LINES_LEFT_OUT, 'b=int("x"),')],
    ids=["3.13", "3.14"],
)
def test_the_marked_line_is_the_source_also_where_marks_span_lines(text: str, source: str) -> None:
    frame = user_frame(parsed(text).last.frames)
    assert frame is not None
    assert frame.source == source


def test_a_group_gives_its_innermost_exceptions_and_what_was_raised_from_it() -> None:
    found = parsed(tracebacks.GROUP)
    assert [raised.type for raised in found.chain] == ["ExceptionGroup", "OrderError"]
    assert [(part.type, part.message) for part in found.parts] == [
        ("ValueError", "invalid literal for int() with base 10: 'a'"),
        ("ZeroDivisionError", "division by zero"),
        ("KeyError", "'x'"),
    ]
    assert [part.frames[-1].line for part in found.parts[:2]] == [25, 26]


def test_a_time_limit_shows_where_the_code_was_when_it_was_up() -> None:
    found = parsed(tracebacks.CANCELLED_AT)
    error = raised_error(Told("TaskRunTimeoutError", "Task run exceeded timeout of 1.0 second(s)"), found)
    assert error is not None
    assert error.message == "Task run exceeded timeout of 1.0 second(s)"
    assert str(error.user_frame) == "/app/flows/etl.py:63 in slow_task"
    assert root_cause(found) is None


def test_what_this_python_writes_is_read() -> None:
    found = parsed(f"the log's own words\n{_raised_here()}\n")
    assert [raised.type for raised in found.chain] == ["ZeroDivisionError", "ConnectionError", "RuntimeError"]
    assert [raised.relation for raised in found.chain] == ["first", "cause", "context"]
    assert found.last.message == "orders are bad\n  first: 1\n  second: 2"
    frame = user_frame(found.chain[0].frames)
    assert frame is not None
    assert (frame.function, frame.source) == ("_divide", 'return sum(row["a"] / row["b"] for row in rows)')


def _raised_here() -> str:
    try:
        try:
            _connect()
        except ConnectionError:
            raise RuntimeError("orders are bad\n  first: 1\n  second: 2")  # noqa: B904
    except RuntimeError:
        return traceback.format_exc()
    return ""


def _connect() -> None:
    try:
        _divide([{"a": 1, "b": 0}])
    except ZeroDivisionError as error:
        raise ConnectionError("no database") from error


def _divide(rows: list[dict[str, int]]) -> float:
    return sum(row["a"] / row["b"] for row in rows)


def test_a_deep_recursion_keeps_its_ends() -> None:
    frame = '  File "/app/etl.py", line 7, in f\n    f()\n'
    text = f"Traceback (most recent call last):\n{frame * 5000}  [Previous line repeated 9 more times]\nRecursionError: deep"
    found = parsed(text)
    assert found.last.type == "RecursionError"
    assert len(found.last.frames) <= 400


def test_a_text_cut_off_before_the_exception_keeps_its_frames() -> None:
    found = parsed(tracebacks.TASK_FAILED[:700])
    assert found.last.type == ""
    assert found.last.frames[0].function == "run_context"


def test_a_text_whose_beginning_was_cut_off_keeps_the_exception() -> None:
    text = tracebacks.TASK_FAILED
    found = parsed(text[text.index("    engine.call_task_fn") :])
    assert found.last.type == "ValueError"
    assert user_frame(found.last.frames) is not None


@pytest.mark.parametrize(
    "text", ["", "all good", "Traceback: see below", "File not found, line 3", "a\nb\nc" * 1000]
)
def test_a_line_without_a_traceback_gives_none(text: str) -> None:
    assert parse_traceback(text) is None


@given(st.text(alphabet="TraceFil \"',:|+-^~\n()[]<>.0123", max_size=400))
def test_no_text_upsets_the_reader(text: str) -> None:
    parse_traceback(text)
    parse_traceback(f"Traceback (most recent call last):\n{text}")
    parse_traceback(f"  + Exception Group Traceback (most recent call last):\n{text}")


# -- whose code --


@pytest.mark.parametrize(
    "file",
    [
        "/usr/local/lib/python3.12/site-packages/prefect/flow_engine.py",
        "/usr/lib/python3/dist-packages/requests/api.py",
        "/usr/lib/python3.11/json/decoder.py",
        "/home/app/.pyenv/versions/3.11.7/lib/python3.11/contextlib.py",
        "/opt/conda/envs/etl/lib/python3.13/asyncio/runners.py",
        "/home/app/.local/share/uv/python/cpython-3.14.0-linux-x86_64-gnu/lib/python3.14/asyncio/runners.py",
        "/usr/local/lib/python3.14t/threading.py",
        "/app/.venv/lib64/python3.12/site-packages/pandas/core/frame.py",
        "C:\\Python312\\Lib\\json\\decoder.py",
        "C:\\Users\\ann\\AppData\\Local\\Programs\\Python\\Python311\\Lib\\asyncio\\base_events.py",
        "D:\\etl\\.venv\\Lib\\site-packages\\httpx\\_client.py",
        "/Library/Frameworks/Python.framework/Versions/3.12/lib/python3.12/json/__init__.py",
        "/home/ann/prefect/src/prefect/flow_engine.py",
        "<frozen importlib._bootstrap>",
        "<string>",
    ],
)
def test_libraries_are_known_by_their_place(file: str) -> None:
    assert is_library(file)


@pytest.mark.parametrize(
    "file",
    [
        "/opt/prefect/flows/etl.py",
        "/app/lib/orders.py",
        "/app/python/etl.py",
        "/home/ann/python3/etl.py",
        "/tmp/tmpabc123prefect/acme-main/flows/etl.py",
        "C:\\etl\\flows\\load.py",
        "D:\\work\\lib\\load.py",
        "/app/.venv-tools/etl.py",
        "flows/etl.py",
    ],
)
def test_the_users_files_are_not_taken_for_a_library(file: str) -> None:
    assert not is_library(file)


def test_a_flow_that_was_installed_as_a_package_is_the_users() -> None:
    packages = tracebacks.PACKAGES
    frames = [
        CodeFrame(f"{packages}/prefect/utilities/callables/__init__.py", 356, "call_with_parameters"),
        CodeFrame(f"{packages}/acme_etl/flows.py", 12, "nightly"),
        CodeFrame(f"{packages}/acme_etl/orders.py", 40, "load"),
        CodeFrame(f"{packages}/pandas/core/frame.py", 4000, "__getitem__"),
    ]
    frame = user_frame(frames)
    assert frame is not None
    assert frame.file.endswith("acme_etl/orders.py")


def test_what_a_worker_raises_by_itself_has_no_line_of_the_user() -> None:
    found = parsed(tracebacks.NOT_STARTED)
    assert user_frame(found.last.frames) is None
    assert [part.type for part in found.parts] == ["RuntimeError"]


# -- what the state tells --


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Flow run encountered an exception: ValueError: bad: row", Told("ValueError", "bad: row")),
        ("Task run encountered an exception ValueError: bad", Told("ValueError", "bad")),
        ("Flow run encountered an exception: AssertionError: ", Told("AssertionError", "")),
        (
            "Validation of flow parameters failed with error: ParameterTypeError: Flow run received invalid "
            "parameters:\n - x: Input should be a valid integer",
            Told(
                "ParameterTypeError",
                "Flow run received invalid parameters:\n - x: Input should be a valid integer",
            ),
        ),
        (
            "Flow run failed due to timeout: TimeoutError('read timed out')",
            Told("TimeoutError", "read timed out"),
        ),
        (
            "Task run exceeded timeout of 5.0 second(s)",
            Told("TaskRunTimeoutError", "Task run exceeded timeout of 5.0 second(s)"),
        ),
        (
            "Failed to submit flow run to infrastructure: DockerException: no daemon",
            Told("DockerException", "no daemon"),
        ),
        ("quality gate: 3 of 10 failed", Told("", "quality gate: 3 of 10 failed")),
    ],
)
def test_a_states_message_names_the_exception(message: str, expected: Told) -> None:
    assert told(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        "3/6 states failed.",
        "1/2 states are not final.",
        "Flow run encountered an exception: UnfinishedRun: Run is in PENDING state, its result is not available.",
        "Flow run failed due to timeout: TaskRunTimeoutError('Scope timed out after 1.0 second(s).')",
    ],
)
def test_some_messages_only_say_that_something_else_failed(message: str) -> None:
    assert told(message).is_second_hand


# -- exit codes --


@pytest.mark.parametrize(
    ("message", "code", "ending", "signal"),
    [
        (
            "Process exited with status code: -9. Process exited due to a SIGKILL signal.",
            -9,
            "killed",
            "SIGKILL",
        ),
        ("Flow run infrastructure exited with non-zero status code 137. …", 137, "out_of_memory", "SIGKILL"),
        ("Process exited with status code: 247. …", 247, "out_of_memory", ""),
        ("Process exited with status code: -15. …", -15, "terminated", "SIGTERM"),
        ("Flow run infrastructure exited with non-zero status code 143. …", 143, "terminated", "SIGTERM"),
        ("Process exited with status code: -11. …", -11, "bad_memory_access", "SIGSEGV"),
        ("Process exited with status code: 139. …", 139, "bad_memory_access", "SIGSEGV"),
        ("Process exited with status code: 134. …", 134, "aborted", "SIGABRT"),
        ("Process exited with status code: 127. …", 127, "not_started", ""),
        ("Process exited with status code: 3. Process exited with an unexpected status code.", 3, "exit", ""),
        ("Process exited with status code: 1. Process exited with a general error.", 1, "exit", ""),
    ],
)
def test_an_exit_code_is_read_in_both_of_prefects_wordings(
    message: str, code: int, ending: str, signal: str
) -> None:
    found = exit_of(message)
    assert found is not None
    assert (found.code, found.ending, found.signal) == (code, ending, signal)


def test_a_message_without_a_code_gives_none() -> None:
    assert exit_of("Execution was aborted by a termination signal.") is None


@given(st.integers(-300, 70_000))
def test_every_code_has_a_meaning(code: int) -> None:
    assert meaning(code).code == code


# -- fingerprints --

NUMBERS = st.integers(0, 10**12)
TEMPLATES = (
    "column 'customer_id' is missing in row {}",
    "item {} cannot be processed",
    "HTTP {} after {} tries",
    "key '{}' is not known",
    'table "orders_{}" is locked',
    "could not read /data/in/{}/part-{}.csv",
    "took {}.{} s",
    "[{}, {}] is out of range",
    "lock 0x{} is held",
    "x{}y",
)


@given(st.sampled_from(TEMPLATES), st.lists(NUMBERS, min_size=4, max_size=4))
def test_a_fingerprint_stays_when_numbers_change(template: str, numbers: list[int]) -> None:
    first = fingerprint("ValueError", template.format(*numbers))
    assert first == fingerprint("ValueError", template.format(*[number + 7 for number in reversed(numbers)]))


@given(st.uuids(), st.uuids(), st.datetimes(), st.datetimes())
def test_a_fingerprint_stays_when_ids_and_times_change(
    one: uuid.UUID, other: uuid.UUID, then: object, now: object
) -> None:
    text = "request {} of {} was refused ({})"
    assert fingerprint("E", text.format(one, then, one.hex)) == fingerprint(
        "E", text.format(other, now, other.hex)
    )


@given(st.text(alphabet="ab'\"#<> =/:0123xef.,-_{}[]\n", max_size=200))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("column 'customer_id' is missing", "column 'order_id' is missing"),
        ("'customer_id'", "'order_id'"),
        ("No module named 'pandas'", "No module named 'polars'"),
        ('relation "orders" does not exist', 'relation "items" does not exist'),
        ("Connection refused", "Connection reset by peer"),
    ],
)
def test_failures_that_differ_in_what_they_name_are_kept_apart(one: str, other: str) -> None:
    assert fingerprint("KeyError", one) != fingerprint("KeyError", other)


def test_the_exceptions_type_counts() -> None:
    assert fingerprint("KeyError", "'x'") != fingerprint("ValueError", "'x'")


def test_refused_values_and_addresses_do_not_count() -> None:
    one = "input_value='abc' at https://errors.pydantic.dev/2.13/v/x with {'id': 'abc'}"
    other = "input_value='xyz ü' at https://errors.pydantic.dev/2.14/v/y with {'id': 'q'}"
    assert normalised(one) == normalised(other)
