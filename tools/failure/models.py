"""What an analysis of a failed run says: shapes for reading, with user text masked and cut."""

from pydantic import Field

from tools.models import Moment
from tools.run_rows import Result


class Frame(Result):
    """One place in code."""

    file: str
    line: int
    function: str
    source: str | None = Field(None, description="the line of code, where the traceback has it")

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}"


class RaisedError(Result):
    """One exception of a chain."""

    type: str = Field(description="its name without the module, such as ValueError")
    message: str
    user_frame: Frame | None = Field(None, description="the innermost line of the user's own code")
    library_frame: Frame | None = Field(None, description="where a library raised it, if not in user code")


class FailedTaskRun(Result):
    """The task run that went wrong first."""

    name: str
    task: str = Field(description="the task's name, without the run's suffix")
    id: str
    url: str
    state: str
    message: str | None = None
    subflow_url: str | None = Field(None, description="if it stands for a flow that the flow called")
    attempts: int = Field(description="how often it ran")
    attempts_allowed: int
    ended: Moment | None = None

    @property
    def retries_exhausted(self) -> bool:
        return self.attempts_allowed > 1 and self.attempts >= self.attempts_allowed


class FailedPullStep(Result):
    """What fetches the code, and failed; the reason is not in Prefect, only on the worker's output."""

    name: str = Field(description="short, such as git_clone")
    package: str = Field(description="that the step comes from, such as prefect or prefect_aws")
    does: str = Field(description="what it was to do, in a sentence")
    missing_blocks: list[str] = Field(
        default_factory=list, description="type/name of blocks that it needs and the server does not have"
    )


class TaskCounts(Result):
    """Task runs of the flow run that did not reach COMPLETED."""

    failed: int = Field(description="FAILED or CRASHED")
    subflow: str | None = Field(None, description="id of the first flow run that it started and that failed")
    held_back: int = Field(description="never ran, as a task before them failed (NotReady)")
    running: list[str] = Field(default_factory=list, description="that were RUNNING when the run crashed")
    truncated: bool = Field(description="whether there are more than these")


class LastLine(Result):
    at: Moment
    level: str
    message: str


class SeenOn(Result):
    """A deployment that failed the same way."""

    name: str = Field(description="flow/deployment; of the same flow the deployment alone")
    url: str
    times: int


class History(Result):
    """How often this failure was seen, this run included."""

    times: int
    days: int
    first_seen: Moment
    here: int = Field(description="times on this run's own deployment, or flow if it has none")
    elsewhere: list[SeenOn] = Field(description="the deployments that it was seen on most")
    deployments_elsewhere: int = Field(description="how many there are in all")
    last_passed: Moment | None = Field(None, description="end of the last COMPLETED run of this deployment")
    last_passed_run: str | None = None
    last_passed_url: str | None = None
    never_passed: bool = Field(False, description="looked, and the server knows no COMPLETED run of it")
    words: str = Field(description="all this in one sentence")
    looked_at: str = Field(description="which runs were compared")
    truncated: bool = Field(description="whether there were more failures than were compared")


class FailureAnalysis(Result):
    """What went wrong in one FAILED or CRASHED run."""

    summary: str = Field(description="the failure in one or two sentences with names and figures")
    error: RaisedError | None = Field(None, description="the exception that matters: of the first bad task")
    root_cause: RaisedError | None = Field(None, description="where `error` was raised because of another")
    outcome: RaisedError | None = Field(None, description="the flow's last exception, where it differs")
    parts: list[RaisedError] = Field(default_factory=list, description="of an ExceptionGroup")
    task: FailedTaskRun | None = None
    tasks: TaskCounts | None = None
    pull_step: FailedPullStep | None = None
    exit_code: int | None = Field(None, description="of the run's process or container")
    last_lines: list[LastLine] = Field(description="what the run logged before it failed, oldest first")
    fingerprint: str = Field(description="equal for failures that differ in numbers, ids and dates only")
    history: History | None = None
    notes: list[str] = Field(default_factory=list, description="what limits this analysis")
