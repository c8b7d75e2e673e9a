"""Creates objects on the test server, over its API alone; every name is unique to the test."""

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.waiting import until

# The server's services write to the same SQLite file.
SQLITE_IS_LOCKED = 503


def unique(stem: str) -> str:
    return f"{stem}-{uuid.uuid4().hex[:8]}"


class Seed:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._made: list[str] = []

    async def clean(self) -> None:
        """Takes away what would lengthen the lists of later tests, or have the server lay out runs for ever."""
        for path in self._made:
            await self._try("DELETE", path, None)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._send("POST", path, {} if body is None else body)

    async def patch(self, path: str, body: Any) -> None:
        await self._send("PATCH", path, body)

    async def delete(self, path: str) -> None:
        await self._send("DELETE", path)

    async def get(self, path: str) -> Any:
        return await self._send("GET", path)

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        for pause in (0.1, 0.2, 0.4, *[0.8] * 20):
            response = await self._try(method, path, body)
            if response is not None and response.status_code != SQLITE_IS_LOCKED:
                break
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        assert response is not None, f"no answer to {method} {path}"
        assert response.is_success, response.text
        return response.json() if response.content else None

    async def _try(self, method: str, path: str, body: Any) -> httpx.Response | None:
        """None when the server closed the connection under it, as it does after an error of its own."""
        try:
            return await self._http.request(method, path, json=body)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            return None

    async def pool(self, *, type: str = "process", stem: str = "pool", **more: Any) -> str:
        name = unique(stem)
        await self.post("work_pools/", {"name": name, "type": type, **more})
        self._made.append(f"work_pools/{name}")
        return name

    async def limit(self, name: str, limit: int, **more: Any) -> dict[str, Any]:
        """A global limit; a full one is mentioned in every later diagnosis, so it goes with the test."""
        row: dict[str, Any] = await self.post(
            "v2/concurrency_limits/", {"name": name, "limit": limit, **more}
        )
        self._made.append(f"v2/concurrency_limits/{name}")
        return row

    async def worker(self, pool: str, *, name: str = "worker-1", interval: int = 30) -> str:
        """A heartbeat is all that makes a worker; it does not poll queues by itself."""
        body = {"name": name, "heartbeat_interval_seconds": interval}
        await self.post(f"work_pools/{pool}/workers/heartbeat", body)
        return name

    async def poll(self, pool: str, *queues: str) -> None:
        """What a worker does every few seconds."""
        await self.post(f"work_pools/{pool}/get_scheduled_flow_runs", {"work_queue_names": list(queues)})

        async def polled() -> bool:
            rows = [await self.get(f"work_pools/{pool}/queues/{queue}") for queue in queues]
            return all(row["last_polled"] for row in rows)

        await until(polled)

    async def serve(self, deployment: dict[str, Any]) -> None:
        """What `flow.serve()` does every few seconds."""
        await self.post("deployments/get_scheduled_flow_runs", {"deployment_ids": [deployment["id"]]})

        async def ready() -> bool:
            return bool((await self.get(f"deployments/{deployment['id']}"))["status"] == "READY")

        await until(ready)

    async def flow(self, stem: str = "flow") -> dict[str, Any]:
        flow: dict[str, Any] = await self.post("flows/", {"name": unique(stem)})
        return flow

    async def deployment(
        self, *, flow: dict[str, Any] | None = None, pool: str | None = None, name: str = "", **more: Any
    ) -> dict[str, Any]:
        """The deployment's row, with `full_name` beside."""
        flow = flow or await self.flow()
        body = {"name": name or unique("deployment"), "flow_id": flow["id"], "entrypoint": "flows.py:main"}
        pooled = {"work_pool_name": pool} if pool else {}
        row: dict[str, Any] = await self.post("deployments/", {**body, **pooled, **more})
        if row["schedules"]:
            self._made.append(f"deployments/{row['id']}")
        return {**row, "full_name": f"{flow['name']}/{row['name']}"}

    async def run(
        self, deployment: dict[str, Any], *, late_by: float = 0, due_in: float = 0, **more: Any
    ) -> dict[str, Any]:
        """A scheduled run, `late_by` seconds overdue or `due_in` seconds ahead."""
        due = datetime.now(UTC) + timedelta(seconds=due_in - late_by)
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due.isoformat()}}
        body = {"name": unique("run"), "state": state, **more}
        run: dict[str, Any] = await self.post(f"deployments/{deployment['id']}/create_flow_run", body)
        return run

    async def state(self, run: dict[str, Any], type: str, name: str = "", message: str = "") -> None:
        """Puts a run into a state, past the server's rules."""
        state = {"type": type, "name": name or type.capitalize(), "message": message}
        await self.post(f"flow_runs/{run['id']}/set_state", {"state": state, "force": True})

    async def logs(
        self, run: dict[str, Any], lines: list[tuple[int, str]], *, task: dict[str, Any] | None = None
    ) -> None:
        """Log lines of (level, message), a second apart, the last one now; of a task run, if one is given."""
        first = datetime.now(UTC) - timedelta(seconds=len(lines))
        rows = [
            {
                "flow_run_id": run["id"],
                "task_run_id": task["id"] if task else None,
                "level": level,
                "message": message,
                "name": "prefect.flow_runs",
                "timestamp": (first + timedelta(seconds=position)).isoformat(),
            }
            for position, (level, message) in enumerate(lines)
        ]
        await self.post("logs/", rows)
