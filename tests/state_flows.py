"""The flows of a workspace in which much goes wrong; workers run a copy of this file."""

import os
import signal
import sys
import time
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.system import Secret
from prefect.concurrency.sync import concurrency

# Longer than any look at it takes; whoever started the worker ends the process.
FOR_LONG = 1800


@flow(log_prints=True)
def count_stock(shelves: int = 12) -> int:
    print(f"counted {shelves} shelves")
    create_markdown_artifact(f"# Stock\n\n{shelves} shelves counted", key="stock-report")
    return shelves


@flow(log_prints=True)
def hold(seconds: int = FOR_LONG) -> None:
    """Works for long and so keeps whatever slot it was given."""
    print(f"busy for {seconds} s")
    time.sleep(seconds)


@task
def write_ledger(seconds: int) -> None:
    time.sleep(seconds)


@flow
def book(tag: str, seconds: int = FOR_LONG) -> None:
    """Does its work in a task that needs a slot of the tag's limit."""
    write_ledger.with_options(tags=[tag])(seconds)


@flow
def export(limit: str, seconds: int = FOR_LONG) -> None:
    """Does its work within a slot of a global limit."""
    get_run_logger().info("asking for a slot of %s", limit)
    with concurrency(limit, occupy=1):
        time.sleep(seconds)


@task
def pack(box: int) -> int:
    time.sleep(1)
    return box


@flow
def pack_boxes(boxes: int = 60) -> None:
    """Short tasks one after the other, so that it can be suspended between two."""
    for box in range(boxes):
        pack(box)


@task(retries=1, retry_delay_seconds=0.5)
def read_prices(supplier: str) -> dict[str, float]:
    prices = {"tea": 3.5}
    return {"towels": prices[f"towels of {supplier}"]}


@task
def reprice(prices: dict[str, float]) -> float:
    return sum(prices.values())


@flow
def update_prices(supplier: str = "magrathea") -> float:
    """Its first task fails, and the second never starts for that reason."""
    prices: Any = read_prices.submit(supplier)
    total: float = reprice.submit(prices).result()
    return total


@flow(retries=4, retry_delay_seconds=FOR_LONG)
def call_supplier() -> None:
    raise ConnectionError("supplier answered 503 Service Unavailable")


@flow
def eat_memory() -> None:
    """Ends as a process ends that the kernel kills because memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def leave(code: int) -> None:
    """Ends its process past Prefect; with code 0 nobody writes a state."""
    sys.stdout.flush()
    os._exit(code)


@flow
def log_in(secret: str) -> int:
    loaded: Any = Secret.load(secret)
    return len(str(loaded.get()))


@flow
def parent(child_tag: str, seconds: int = FOR_LONG) -> None:
    """Runs another flow inside itself."""
    book(child_tag, seconds)
