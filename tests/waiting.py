"""Waiting for what others do: looked at again and again, and never longer than was said."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

WITHIN_S = 30.0
EVERY_S = 0.05


async def until(
    look: Callable[[], Awaitable[Any] | Any], *, within: float = WITHIN_S, every: float = EVERY_S
) -> Any:
    """The first true answer of `look`, which may be async; fails when there is none within so many seconds."""
    async with asyncio.timeout(within):
        while not (answer := await _answer(look)):  # noqa: ASYNC110 (nobody here could set an event)
            await asyncio.sleep(every)
    return answer


async def _answer(look: Callable[[], Awaitable[Any] | Any]) -> Any:
    answer = look()
    return await answer if inspect.isawaitable(answer) else answer
