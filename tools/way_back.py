"""What a receipt offers for taking back what was just done."""

import logging
from collections.abc import Awaitable

from knowledge.errors import ExpectedError
from tools.proposal import Proposal

log = logging.getLogger(__name__)


async def way_back(opposite: Awaitable[Proposal]) -> Proposal | None:
    """The opposite, proposed for the state that there is now; None where there is nothing to take back.

    The deed is done by then, so what fails here takes nothing away from it.
    """
    try:
        return await opposite
    except ExpectedError as error:
        log.info("no way back is offered: %s", error.message)
        return None
