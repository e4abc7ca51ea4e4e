"""What can go wrong with a query that reads well.

QueryRefused                   400 QUERY_REFUSED     it asks for more than is allowed, or its lines do not fit it
QueryCancelled                 499 QUERY_CANCELLED   its client has left
core.errors.QueryTimeout       504 QUERY_TIMEOUT     it outran its time
"""

from pilothouse.core.errors import InvalidRequest, PilothouseError


class QueryRefused(InvalidRequest):
    """A query past a limit, or one whose evaluation has no meaning; `message` is Loki's text where Loki has one."""

    default_code = "QUERY_REFUSED"


class QueryCancelled(PilothouseError):
    """Nobody waits for the answer any more."""

    status = 499
    default_code = "QUERY_CANCELLED"
