"""A small shop, to see how an application's own lines look in Pilothouse.

SHOP_LOG=/var/log/shop/shop.log uvicorn shop:asgi --port 8000
"""

import os
from typing import Annotated

import structlog
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from pilothouse_sdk import RequestLogMiddleware, bind, bind_user, setup_structured_logging

setup_structured_logging(level="INFO", log_path=os.environ.get("SHOP_LOG", "var/shop.log"), service="shop")
log = structlog.get_logger("shop.orders")

ORDERS: dict[int, "Order"] = {}


class Order(BaseModel):
    """What somebody wants, and what it costs in cents."""

    item: str
    cents: int = Field(ge=0)
    card: str = ""


def signed_in(user: Annotated[str, Header(alias="X-User")] = "nobody") -> None:
    """Who is asking. A real shop would look at a session or a token; what matters here is `bind_user`."""
    bind_user(user)


app = FastAPI(title="Shop", dependencies=[Depends(signed_in)])


@app.post("/orders", status_code=201)
def create(order: Order) -> dict[str, int]:
    """Take an order."""
    number = len(ORDERS) + 1
    bind(order=number)
    ORDERS[number] = order
    # The card's number never reaches the log: it is taken out by its form.
    log.info("order taken", item=order.item, cents=order.cents, paid_with=order.card)
    return {"number": number}


@app.get("/orders")
def search(item: str = "") -> dict[int, Order]:
    """All orders, or those of an item."""
    found = {number: order for number, order in ORDERS.items() if item in order.item}
    log.debug("orders searched", item=item, found=len(found))
    return found


@app.get("/orders/{number}")
def read(number: int) -> Order:
    """Look at one."""
    if number not in ORDERS:
        log.warning("no such order", order=number)
        raise HTTPException(404, "no such order")
    return ORDERS[number]


@app.post("/orders/{number}/refund")
def refund(number: int) -> dict[str, float]:
    """Say which part of the price one cent is; an order that cost nothing shows what an exception looks like."""
    bind(order=number)
    return {"share": 1 / ORDERS[number].cents}


@app.get("/health")
def health() -> str:
    """For whoever asks whether the shop is open; leaves no line."""
    return "ok"


# Around all of it, so that the answer to an exception has its request id too.
asgi = RequestLogMiddleware(app)
