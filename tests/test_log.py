"""The bot's own log and the end of a bug, both without secrets."""

import logging
import sys

import pytest

from bot.database import open_store
from bot.log import RedactingFormatter, tell_bug
from bot.settings import Settings
from knowledge.errors import BadInput
from tools.deployments import list_parameters
from tools.models import Deployment
from tools.proposal import Fact, Proposal
from tools.toolbox import masked_proposal

S = "hunter2xyz"


def broken() -> ConnectionError:
    try:
        raise ConnectionError(f"postgresql://bob:{S}@db/x is away")
    except ConnectionError as error:
        return error


def test_a_log_record_loses_its_secrets_also_in_the_traceback() -> None:
    error = broken()
    record = logging.LogRecord("bot", logging.ERROR, "x.py", 1, "asked %s", (f"https://h/?token={S}",), None)
    record.exc_info = (type(error), error, error.__traceback__)
    shown = RedactingFormatter("%(message)s").format(record)
    assert S not in shown
    assert "asked https://h/" in shown
    assert "is away" in shown


def test_a_bug_is_told_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    error = broken()
    tell_bug(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert S not in said
    assert said.startswith("Traceback")
    assert sys.excepthook is not tell_bug


async def test_a_database_port_that_cannot_be_is_one_clear_sentence() -> None:
    with pytest.raises(BadInput, match="DATABASE_URL"):
        async with open_store(f"postgresql://bob:{S}@127.0.0.1:99999/x"):
            pass


def test_a_login_in_slacks_address_is_refused_without_being_shown() -> None:
    with pytest.raises(BadInput) as caught:
        Settings.from_env({"SLACK_API_URL": f"https://bob:{S}@slack.com/api"})
    assert "SLACK_API_URL" in caught.value.message
    assert S not in f"{caught.value.message} {caught.value.fix}"


def test_a_secret_in_the_label_of_a_fact_is_masked() -> None:
    facts = (Fact(label=f"token={S}", value="Failed"),)
    shown = masked_proposal(Proposal(action="retry_run", title="Retry", target="etl", facts=facts))
    assert S not in shown.model_dump_json()


def test_the_default_of_a_parameter_of_a_secret_type_is_not_shown() -> None:
    properties = {"pw": {"type": "string", "format": "password", "default": S}, "rows": {"default": 5}}
    row = Deployment.model_validate(
        {"id": "1", "name": "d", "flow_id": "2", "parameter_openapi_schema": {"properties": properties}}
    )
    assert [each.default for each in list_parameters(row)] == ["set, not shown", 5]
