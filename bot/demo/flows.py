"""The flows of a small shop, as its data team would write them. The demo deploys a copy of this file."""

import datetime
import random
import time
from typing import Annotated, Literal

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from pydantic import Field

ORDER_COLUMNS = ("order_id", "customer_id", "amount")
DELIVERED_COLUMNS = ("order_id", "customer", "amount")
SECONDS_PER_EPOCH = 5


@task
def read_sales(region: str, day: datetime.date) -> dict[str, int]:
    """Sales of one day by product, always the same for the same region and day."""
    dice = random.Random(f"{region} {day}")
    return {product: dice.randint(20, 400) for product in ("tea", "towels", "paperbacks", "robots")}


@task
def best_sellers(sales: dict[str, int], limit: int) -> list[tuple[str, int]]:
    """The products that sold best, best first."""
    return sorted(sales.items(), key=lambda sale: sale[1], reverse=True)[:limit]


@flow(log_prints=True)
def daily_report(
    day: datetime.date,
    region: Literal["eu", "us", "apac"] = "eu",
    limit: Annotated[int, Field(ge=1, le=100)] = 10,
) -> dict[str, int]:
    """Sum up one day's sales in one region and publish the best sellers.

    Args:
        day: The day to report on, for example 2026-11-22.
        region: Which shop.
        limit: How many best sellers to list.
    """
    ranking = best_sellers(read_sales(region, day), limit)
    rows = "\n".join(f"| {product} | {sold} |" for product, sold in ranking)
    create_markdown_artifact(
        f"# Sales in {region} on {day}\n\n| product | sold |\n|---|---|\n{rows}", key="daily-report"
    )
    print(f"{sum(sold for _, sold in ranking)} items sold in {region} on {day}")
    return dict(ranking)


@task
def read_orders(source: str) -> tuple[str, ...]:
    """The columns of the delivered file."""
    print(f"reading {source}")
    return DELIVERED_COLUMNS


@task
def check_columns(columns: tuple[str, ...], source: str) -> None:
    """Refuse a file that lacks what the warehouse needs."""
    for column in ORDER_COLUMNS:
        if column not in columns:
            raise ValueError(f"column {column!r} is missing in {source}: found {', '.join(columns)}")


@flow(log_prints=True)
def load_orders(source: str = "orders.csv") -> None:
    """Load the night's orders into the warehouse.

    Args:
        source: The file that the shop delivered.
    """
    check_columns(read_orders(source), source)


@task
def train_epoch(epoch: int) -> float:
    """One pass over the training data; returns the loss."""
    time.sleep(SECONDS_PER_EPOCH)
    return round(1 / (epoch + 1), 3)


@flow(log_prints=True)
def train_model(epochs: Annotated[int, Field(ge=1, le=1000)] = 24) -> float:
    """Train the recommendation model: two minutes with the default number of epochs.

    Args:
        epochs: How many passes over the training data.
    """
    loss = 1.0
    for epoch in range(1, epochs + 1):
        loss = train_epoch(epoch)
        print(f"epoch {epoch} of {epochs}: loss {loss}")
    return loss


@flow(log_prints=True)
def export_invoices(month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")] = "2026-11") -> None:
    """Write a month's invoices to the accountants' bucket.

    Args:
        month: The month as YYYY-MM.
    """
    print(f"exporting the invoices of {month}")
