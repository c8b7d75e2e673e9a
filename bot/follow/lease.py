"""One of several replicas at a time: a named lease in the database, kept by whoever took it first."""

import asyncio
import logging
import secrets
import time
from datetime import timedelta

from sqlalchemy import and_, or_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.database import DATABASE_ERRORS
from bot.store import leases, now

log = logging.getLogger(__name__)

# A replica that died is replaced after this long.
LASTS = timedelta(seconds=20)
RENEWED_EVERY_S = 5.0
# Whoever has been cut off from the database lets go this long before another may take over.
MARGIN_S = 5.0


class Lease:
    """Held by at most one process. `keep` takes it when it is free and renews it, for ever."""

    def __init__(self, engine: AsyncEngine, name: str, *, every_s: float = RENEWED_EVERY_S) -> None:
        self._engine = engine
        self._name = name
        self._every_s = every_s
        self._holder = secrets.token_hex(8)
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether it is certain that nobody else holds it now."""
        return time.monotonic() < self._until

    async def keep(self) -> None:
        """Take and renew it until cancelled; given back then, so that nobody has to wait for its end."""
        await self._recover()
        try:
            while True:
                await self._try()
                await asyncio.sleep(self._every_s)
        finally:
            await self._let_go()

    async def take(self) -> bool:
        """Take or renew it; False while another process holds it."""
        asked = time.monotonic()
        mine = or_(leases.c.holder == self._holder, leases.c.until <= now())
        renewed = (
            update(leases)
            .where(leases.c.name == self._name, mine)
            .values(holder=self._holder, until=now() + LASTS)
        )
        async with self._engine.begin() as connection:
            got = bool((await connection.execute(renewed)).rowcount)
        got = got or await self._first()
        self._until = asked + LASTS.total_seconds() - MARGIN_S if got else 0.0
        return got

    async def _first(self) -> bool:
        """Nobody has ever held it."""
        row = {"name": self._name, "holder": self._holder, "until": now() + LASTS}
        try:
            async with self._engine.begin() as connection:
                await connection.execute(leases.insert().values(row))
        except IntegrityError:
            return False
        return True

    async def _try(self) -> None:
        try:
            await self.take()
        except DATABASE_ERRORS as error:
            log.warning("the lease %s cannot be renewed (%s)", self._name, type(error).__name__)

    async def _recover(self) -> None:
        """A SQLite file belongs to one server, so whoever held it there is gone."""
        if self._engine.dialect.name == "sqlite":
            await self._free(leases.c.name == self._name)

    async def _let_go(self) -> None:
        self._until = 0.0
        await self._free(and_(leases.c.name == self._name, leases.c.holder == self._holder))

    async def _free(self, which: object) -> None:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(update(leases).where(which).values(until=now()))  # type: ignore[arg-type]
        except DATABASE_ERRORS as error:
            log.warning("the lease %s cannot be given back (%s)", self._name, type(error).__name__)
