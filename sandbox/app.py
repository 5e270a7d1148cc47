"""The whole web application of a sandbox: API, checkout page, control API, a small start page."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from sandbox import checkout, control, wire
from sandbox.front import Front
from sandbox.world import World


async def _not_found(_request: Request, _problem: Exception) -> Response:
    return JSONResponse(wire.NOT_FOUND_ROUTE, status_code=404)


def build(*, world: World) -> ASGIApp:
    """The application around a world; whoever serves it starts and stops the world's deliveries."""
    inner = Starlette(
        routes=[Mount("/control", routes=control.routes(world=world)), *checkout.routes(world=world)],
        exception_handlers={404: _not_found, 405: _not_found},
    )
    return Front(world=world, inner=inner)
