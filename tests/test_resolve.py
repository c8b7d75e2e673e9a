import pytest

from knowledge.errors import BadInput
from tests.prefect_seed import Seed, unique
from tools.errors import Ambiguous, NotFound
from tools.prefect_client import PrefectClient
from tools.resolve import find_deployment, find_flow_run, find_work_pool


async def test_a_deployment_is_found_by_every_name_that_people_use(
    prefect: PrefectClient, seed: Seed
) -> None:
    row = await seed.deployment()
    flow, name = row["full_name"].split("/")
    texts = [
        row["full_name"],
        f"`{row['full_name']}`",
        name,
        flow,
        name.upper(),
        name.replace("-", "_"),
        name.replace("-", " "),
        f"{flow[:-2]}/{name[:-2]}",
        row["id"],
        prefect.links.deployment(row["id"]),
        f"<{prefect.links.flow(row['flow_id'])}|the flow>",
        f"{name} {flow}",
    ]
    found = {text: (await find_deployment(prefect, text)).full_name for text in texts}
    assert found == dict.fromkeys(texts, row["full_name"])


async def test_an_exact_name_beats_a_part_of_another(prefect: PrefectClient, seed: Seed) -> None:
    name = unique("nightly")
    exact = await seed.deployment(name=name)
    await seed.deployment(name=f"{name}-full")
    assert (await find_deployment(prefect, name)).deployment.id == exact["id"]


async def test_the_exact_letter_case_beats_another(prefect: PrefectClient, seed: Seed) -> None:
    name = unique("Load")
    flow = await seed.flow()
    await seed.deployment(flow=flow, name=name.lower())
    exact = await seed.deployment(flow=flow, name=name)
    assert (await find_deployment(prefect, name)).deployment.id == exact["id"]


async def test_a_deployment_named_like_another_ones_flow_is_meant(prefect: PrefectClient, seed: Seed) -> None:
    flow = await seed.flow("etl")
    await seed.deployment(flow=flow)
    named = await seed.deployment(name=flow["name"])
    assert (await find_deployment(prefect, flow["name"])).deployment.id == named["id"]


async def test_several_matches_are_offered(prefect: PrefectClient, seed: Seed) -> None:
    name = unique("daily")
    rows = [await seed.deployment(name=name) for _ in range(10)]
    with pytest.raises(Ambiguous) as caught:
        await find_deployment(prefect, name)
    assert len(caught.value.choices) == 9
    assert caught.value.choices[-1] == "and 2 more"
    assert set(caught.value.choices[:8]) <= {row["full_name"] for row in rows}
    assert caught.value.choices[0] in caught.value.fix


async def test_a_misspelt_name_gets_the_nearest(prefect: PrefectClient, seed: Seed) -> None:
    row = await seed.deployment(name=unique("warehouse-refresh"))
    with pytest.raises(NotFound) as caught:
        await find_deployment(prefect, row["name"].replace("refresh", "refrsh"))
    assert row["full_name"] in caught.value.fix


async def test_wildcards_of_the_server_mean_nothing_special(prefect: PrefectClient, seed: Seed) -> None:
    await seed.deployment()
    with pytest.raises(NotFound):
        await find_deployment(prefect, "%qqq%")


@pytest.mark.parametrize("text", ["", "  ", "``"])
async def test_no_name_is_asked_for(prefect: PrefectClient, text: str) -> None:
    with pytest.raises(BadInput, match="No name given"):
        await find_deployment(prefect, text)


async def test_a_work_pool_is_found_by_name_part_and_link(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(stem="etl")
    for text in (pool, pool.upper(), pool.replace("-", "_"), pool[2:], prefect.links.work_pool(pool)):
        assert (await find_work_pool(prefect, text)).name == pool


async def test_an_unknown_work_pool_gets_the_nearest(prefect: PrefectClient, seed: Seed) -> None:
    pool = await seed.pool(stem="kubernetes-prod")
    with pytest.raises(NotFound) as caught:
        await find_work_pool(prefect, pool.replace("netes", "nets"))
    assert f"The nearest: {pool}" in caught.value.fix


async def test_a_flow_run_is_found_by_name_id_and_link(prefect: PrefectClient, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    for text in (run["name"], run["name"].upper(), run["id"], prefect.links.flow_run(run["id"])):
        assert (await find_flow_run(prefect, text)).id == run["id"]


async def test_runs_of_one_name_are_told_apart_by_their_ids(prefect: PrefectClient, seed: Seed) -> None:
    deployment, name = await seed.deployment(), unique("twin")
    runs = [await seed.run(deployment, name=name) for _ in range(2)]
    with pytest.raises(Ambiguous) as caught:
        await find_flow_run(prefect, name)
    assert all(any(run["id"] in choice for choice in caught.value.choices) for run in runs)


async def test_a_link_to_the_wrong_kind_of_thing_is_refused(prefect: PrefectClient, seed: Seed) -> None:
    run = await seed.run(await seed.deployment())
    with pytest.raises(BadInput, match="is to a flow run, not to a deployment"):
        await find_deployment(prefect, prefect.links.flow_run(run["id"]))


async def test_a_link_to_another_cloud_workspace_is_refused(prefect: PrefectClient) -> None:
    one = "11111111-1111-4111-8111-111111111111"
    link = f"https://app.prefect.cloud/account/{one}/workspace/{one}/runs/flow-run/{one}"
    with pytest.raises(BadInput, match="another Prefect Cloud workspace"):
        await find_flow_run(prefect, link)
