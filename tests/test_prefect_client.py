import uuid
from typing import Any

import pytest

from bot.demo.server import free_port
from knowledge.errors import BadInput, ExpectedError, Refused, Unreachable
from tests.fakes.prefect import SILENCE, Answer, ScriptedPrefect, scripted_prefect
from tests.prefect_seed import Seed
from tests.prefect_server import connection_to
from tools.errors import NotFound
from tools.prefect_client import Filters, PrefectClient

OK = Answer(body="3.8.8")
BUSY = Answer(503, {"exception_message": "Service Unavailable"})


async def ask(fake: ScriptedPrefect, **variables: str) -> str:
    async with PrefectClient(connection_to(fake.url, **variables)) as client:
        return await client.version()


async def test_a_real_server_tells_its_version(prefect: PrefectClient) -> None:
    assert (await prefect.version()).startswith("3.")


async def test_no_more_rows_come_than_asked_for(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await seed.deployment()
    runs = {(await seed.run(deployment))["id"] for _ in range(5)}
    mine: Filters = {"deployments": {"id": {"any_": [deployment["id"]]}}}
    assert {run.id for run in await prefect.flow_runs(mine, limit=100)} == runs
    assert len(await prefect.flow_runs(mine, limit=3)) == 3


async def test_a_smaller_page_that_the_server_asks_for_is_used() -> None:
    refusal = Answer(422, {"detail": "Invalid limit: must be less than or equal to 1."})
    flows = [{"id": str(uuid.uuid4()), "name": name} for name in "ab"]
    pages = (Answer(body=flows[:1]), Answer(body=flows[1:]), Answer(body=[]))
    async with scripted_prefect(refusal, *pages) as fake, PrefectClient(connection_to(fake.url)) as client:
        assert [flow.name for flow in await client.flows()] == ["a", "b"]
    assert [request.body["limit"] for request in fake.requests] == [200, 1, 1, 1]
    assert [request.body["offset"] for request in fake.requests] == [0, 0, 1, 2]


async def test_an_unknown_id_is_not_found(prefect: PrefectClient) -> None:
    with pytest.raises(NotFound, match="Flow run not found"):
        await prefect.flow_run(str(uuid.uuid4()))


async def test_a_refused_value_is_told_in_the_servers_words(prefect: PrefectClient) -> None:
    with pytest.raises(BadInput, match=r"body\.logs\.level"):
        await prefect.logs({"level": {"ge_": "loud"}}, limit=1)


async def test_a_busy_server_is_asked_again() -> None:
    async with scripted_prefect(BUSY, BUSY, OK) as fake:
        assert await ask(fake) == "3.8.8"
    assert len(fake.requests) == 3


async def test_a_server_that_stays_busy_is_given_up_in_the_end() -> None:
    async with scripted_prefect(BUSY, BUSY, BUSY, BUSY) as fake:
        with pytest.raises(Unreachable, match="too busy or not ready"):
            await ask(fake)
    assert len(fake.requests) == 4


async def test_a_short_retry_after_is_heeded() -> None:
    async with scripted_prefect(Answer(429, {}, {"Retry-After": "0"}), OK) as fake:
        assert await ask(fake) == "3.8.8"


async def test_a_long_retry_after_is_told_instead_of_waited_for() -> None:
    async with scripted_prefect(Answer(429, {}, {"Retry-After": "600"})) as fake:
        with pytest.raises(Unreachable):
            await ask(fake)
    assert len(fake.requests) == 1


async def test_a_connection_that_was_closed_after_a_500_is_not_the_next_calls_trouble() -> None:
    broken = Answer(500, {"exception_message": "Internal Server Error"}, closes=True)
    async with scripted_prefect(broken, OK) as fake, PrefectClient(connection_to(fake.url)) as client:
        with pytest.raises(ExpectedError, match="failed inside"):
            await client.version()
        assert await client.version() == "3.8.8"


async def test_a_request_without_an_answer_is_repeated() -> None:
    async with scripted_prefect(SILENCE, OK) as fake:
        assert await ask(fake) == "3.8.8"


async def test_a_server_that_never_answers_is_given_up() -> None:
    async with scripted_prefect(SILENCE, SILENCE, SILENCE) as fake:
        with pytest.raises(Unreachable, match="cannot be reached"):
            await ask(fake)
    assert len(fake.requests) == 3


async def test_a_proposed_state_is_never_sent_twice() -> None:
    async with scripted_prefect(SILENCE) as fake, PrefectClient(connection_to(fake.url)) as client:
        with pytest.raises(Unreachable):
            await client.set_state(str(uuid.uuid4()), type_="CANCELLING", message="x")
    assert len(fake.requests) == 1


async def test_a_server_that_is_down_is_named_with_its_port() -> None:
    port = free_port()
    async with PrefectClient(connection_to(f"http://127.0.0.1:{port}/api")) as client:
        with pytest.raises(Unreachable) as caught:
            await client.version()
    assert f"127.0.0.1:{port}" in caught.value.message
    assert "PREFECT_API_URL (from the environment)" in caught.value.fix


async def test_refused_credentials_say_which_setting_to_mend() -> None:
    async with scripted_prefect(Answer(401, {"exception_message": "Unauthorized"})) as fake:
        with pytest.raises(Refused) as caught:
            await ask(fake, PREFECT_API_KEY="pnu_wrong")
    assert "PREFECT_API_AUTH_STRING" in caught.value.fix
    assert "pnu_wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "header"),
    [
        pytest.param({"PREFECT_API_KEY": "pnu_1"}, "Bearer pnu_1", id="key"),
        pytest.param({"PREFECT_API_AUTH_STRING": "admin:pa:ss"}, "Basic YWRtaW46cGE6c3M=", id="auth-string"),
        pytest.param(
            {"PREFECT_API_KEY": "pnu_1", "PREFECT_API_AUTH_STRING": "admin:pa:ss"},
            "Basic YWRtaW46cGE6c3M=",
            id="both",
        ),
    ],
)
async def test_credentials_are_sent_as_prefects_own_client_does(
    variables: dict[str, str], header: str
) -> None:
    async with scripted_prefect(OK) as fake:
        await ask(fake, PREFECT_CLIENT_CUSTOM_HEADERS='{"X-Door": "open"}', **variables)
    assert fake.requests[0].headers["authorization"] == header
    assert fake.requests[0].headers["x-door"] == "open"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(Answer(raw=b"<html>"), "does not speak Prefect's API", id="html"),
        pytest.param(Answer(404, {"detail": "Not Found"}), "nothing under that address", id="path"),
        pytest.param(Answer(308, raw=b"", headers={"Location": "https://x"}), "redirect", id="redirect"),
        pytest.param(Answer(403, {"detail": "Role lacks scope"}), "Role lacks scope", id="role"),
    ],
)
async def test_an_odd_answer_becomes_one_clear_sentence(answer: Answer, sentence: str) -> None:
    async with scripted_prefect(answer) as fake:
        with pytest.raises(ExpectedError, match=sentence):
            await ask(fake)


async def test_a_csrf_token_is_fetched_when_the_server_wants_one() -> None:
    missing = Answer(403, {"detail": "Missing CSRF token."})
    token = Answer(body={"token": "t0ken", "client": "c", "expiration": "2030-01-01T00:00:00Z"})
    count = Answer(body=3)
    answers = (missing, token, count, count)
    async with scripted_prefect(*answers) as fake, PrefectClient(connection_to(fake.url)) as client:
        assert await client.count_deployments() == 3
        assert await client.count_deployments() == 3
    assert [request.method for request in fake.requests] == ["POST", "GET", "POST", "POST"]
    assert fake.requests[2].headers["prefect-csrf-token"] == "t0ken"
    client_id = fake.requests[3].headers["prefect-csrf-client"]
    assert fake.requests[1].path.endswith(f"csrf-token?client={client_id}")


async def test_without_a_connection_every_call_says_how_to_make_one() -> None:
    async with PrefectClient(None) as client:
        with pytest.raises(BadInput) as caught:
            await client.work_pools()
    assert "not connected" in caught.value.message
    assert "PREFECT_API_URL" in caught.value.fix


async def test_the_same_key_never_starts_a_second_run(prefect: PrefectClient, seed: Seed) -> None:
    deployment = await seed.deployment()
    first, created = await prefect.create_flow_run(deployment["id"], {}, key="card:1")
    again, created_again = await prefect.create_flow_run(deployment["id"], {}, key="card:1")
    assert (created, created_again) == (True, False)
    assert first.id == again.id


async def test_names_with_spaces_and_slashes_are_quoted(prefect: PrefectClient, seed: Seed) -> None:
    name = f"my pool {uuid.uuid4()}"
    await seed.post("work_pools/", {"name": name, "type": "process"})
    assert (await prefect.work_pool(name)).name == name
    with pytest.raises(NotFound):
        await prefect.work_pool("no/such?pool")


async def test_null_counts_as_absent() -> None:
    run: dict[str, Any] = {"id": str(uuid.uuid4()), "name": "r", "flow_id": "f", "tags": None, "state": None}
    async with scripted_prefect(Answer(body=run)) as fake, PrefectClient(connection_to(fake.url)) as client:
        found = await client.flow_run(run["id"])
    assert (found.tags, found.work_pool_name, found.state.name) == ((), "", "No state yet")


async def test_a_bounded_client_asks_no_more_often_than_it_may(prefect: PrefectClient) -> None:
    bounded = prefect.bounded(2)
    await bounded.flows(limit=1)
    await bounded.work_pools(limit=1)
    with pytest.raises(Refused, match="enough was asked"):
        await bounded.flows(limit=1)
    await prefect.flows(limit=1)
