"""What Python and Prefect really wrote, with the folders of an image in place of a machine's."""

PACKAGES = "/usr/local/lib/python3.12/site-packages"

TASK_FAILED = f'''Task run failed with exception: ValueError("column 'customer_id' is missing in orders for 2026-03-01") - Retries are exhausted
Traceback (most recent call last):
  File "{PACKAGES}/prefect/task_engine.py", line 1027, in run_context
    yield self
  File "{PACKAGES}/prefect/task_engine.py", line 1696, in run_task_sync
    engine.call_task_fn(txn)
  File "{PACKAGES}/prefect/task_engine.py", line 1044, in call_task_fn
    result = call_with_parameters(self.task.fn, parameters)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{PACKAGES}/prefect/utilities/callables/__init__.py", line 356, in call_with_parameters
    return fn(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^
  File "/opt/prefect/flows/etl.py", line 25, in load_orders
    raise ValueError(f"column 'customer_id' is missing in orders for {{day}}")
ValueError: column 'customer_id' is missing in orders for 2026-03-01'''

IMPORT_FAILED = f'''Unexpected exception encountered when trying to load flow
Traceback (most recent call last):
  File "<frozen importlib._bootstrap_external>", line 936, in exec_module
  File "<frozen importlib._bootstrap_external>", line 1073, in get_code
  File "<frozen importlib._bootstrap_external>", line 1130, in get_data
FileNotFoundError: [Errno 2] No such file or directory: '/opt/prefect/not_here.py'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "{PACKAGES}/prefect/engine.py", line 171, in <module>
    flow: "Flow[..., Any]" = load_flow(flow_run)
                             ^^^^^^^^^^^^^^^^^^^
  File "{PACKAGES}/prefect/utilities/importtools.py", line 163, in import_object
    module = load_script_as_module(script_path)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "{PACKAGES}/prefect/utilities/importtools.py", line 128, in load_script_as_module
    raise ScriptError(user_exc=exc, path=path) from exc
prefect.exceptions.ScriptError: Script at 'not_here.py' encountered an exception: FileNotFoundError(2, 'No such file or directory')'''

SYNTAX_ERROR = f'''Unexpected exception encountered when trying to load flow
Traceback (most recent call last):
  File "<frozen importlib._bootstrap_external>", line 936, in exec_module
  File "<frozen importlib._bootstrap>", line 241, in _call_with_frames_removed
  File "/opt/prefect/flows/bad.py", line 3
    def main(:
             ^
SyntaxError: invalid syntax

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "{PACKAGES}/prefect/utilities/importtools.py", line 128, in load_script_as_module
    raise ScriptError(user_exc=exc, path=path) from exc
prefect.exceptions.ScriptError: Script at 'bad.py' encountered an exception: SyntaxError('invalid syntax', ('/opt/prefect/flows/bad.py', 3, 10, 'def main(:\\n', 3, 11))'''

UNKNOWN_PARAMETER = f'''Engine execution exited with unexpected exception
Traceback (most recent call last):
  File "{PACKAGES}/prefect/flow_engine.py", line 2253, in run_flow
    parameters=_flow_parameters(
               ^^^^^^^^^^^^^^^^^
  File "{PACKAGES}/prefect/utilities/callables/__init__.py", line 281, in parameters_to_args_kwargs
    raise SignatureMismatchError.from_bad_params(
prefect.exceptions.SignatureMismatchError: Function expects parameters ['x'] but was provided with parameters ['x', 'y']'''

HOOK_NOISE = f'''Runner failed to retrieve flow to execute on_crashed hooks for flow run UUID('4b845aef-9b6a-4030-9474-c8912e12db6d').
Traceback (most recent call last):
  File "{PACKAGES}/prefect/runner/_workspace_hook_runner.py", line 43, in _run
    manifest = read_model(self._manifest_path, PreparedWorkspaceManifest)
FileNotFoundError: [Errno 2] No such file or directory: '/tmp/prefect-workspace-attempt-2q51grwo/workspace.json\''''

NOT_STARTED = f'''Failed to submit flow run 'nightly' to infrastructure.
  + Exception Group Traceback (most recent call last):
  |   File "{PACKAGES}/prefect/workers/process.py", line 208, in run
  |     async with anyio.create_task_group() as task_group:
  |   File "{PACKAGES}/anyio/_backends/_asyncio.py", line 871, in __aexit__
  |     raise BaseExceptionGroup(
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "{PACKAGES}/prefect/workers/process.py", line 209, in run
    |     handle = await task_group.start(execute)
    |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    | RuntimeError: Child exited without calling task_status.started()
    +------------------------------------'''

# Of Python 3.13, where the marks of an expression go over several lines.
MANY_LINES = """Traceback (most recent call last):
  File "/app/flows/etl.py", line 4, in load
    return json.loads(
           ~~~~~~~~~~^
        open(path).read()
        ^^^^^^^^^^^^^^^^^
    )
    ^
  File "/usr/local/lib/python3.13/json/decoder.py", line 360, in raw_decode
    obj, end = self.scan_once(s, idx)
               ~~~~~~~~~~~~~~^^^^^^^^
json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"""

# Of Python 3.14, with lines left out and a marked line further down.
LINES_LEFT_OUT = """Traceback (most recent call last):
  File "/app/flows/etl.py", line 12, in load
    return dict(
        a=1,
    ...<3 lines>...
        b=int("x"),
          ~~~^^^^^
    )
ValueError: invalid literal for int() with base 10: 'x\'"""

# Nested; of Python 3.11.
GROUP = """Encountered exception during execution: ExceptionGroup('several parts failed', [ValueError("…")])
  + Exception Group Traceback (most recent call last):
  |   File "/app/flows/etl.py", line 32, in group
  |     raise ExceptionGroup("several parts failed", errors)
  | ExceptionGroup: several parts failed (3 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/flows/etl.py", line 25, in group
    |     int(name)
    | ValueError: invalid literal for int() with base 10: 'a'
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/app/flows/etl.py", line 26, in group
    |     1 / 0
    |     ~~^~~
    | ZeroDivisionError: division by zero
    +---------------- 3 ----------------
    | Exception Group Traceback (most recent call last):
    |   File "/app/flows/etl.py", line 29, in group
    |     raise ExceptionGroup("inner", [KeyError("x")])
    | ExceptionGroup: inner (1 sub-exception)
    +-+---------------- 1 ----------------
      | KeyError: 'x'
      +------------------------------------

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/flows/etl.py", line 40, in main
    raise OrderError("orders are not complete") from error
flows.etl.OrderError: orders are not complete"""

CANCELLED_AT = f'''Task run failed with exception: TaskRunTimeoutError('Scope timed out after 1.0 second(s).')
Traceback (most recent call last):
  File "{PACKAGES}/prefect/utilities/callables/__init__.py", line 356, in call_with_parameters
    return fn(*args, **kwargs)
           ^^^^^^^^^^^^^^^^^^^
  File "/app/flows/etl.py", line 63, in slow_task
    time.sleep(5)
prefect._internal.concurrency.cancellation.CancelledError

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/usr/local/lib/python3.12/contextlib.py", line 158, in __exit__
    self.gen.throw(typ, value, traceback)
  File "{PACKAGES}/prefect/utilities/timeout.py", line 49, in timeout
    raise timeout_exc_type(f"Scope timed out after {{seconds}} second(s).")
prefect.task_engine.TaskRunTimeoutError: Scope timed out after 1.0 second(s).'''
