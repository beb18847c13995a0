"""The application: the routes, the plugins and the lifespan. The only file that imports all the rest."""

import gc
import logging.config
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litestar_offline_docs
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsPlugin
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp

from service import health, logs
from service.audit import AuditController
from service.bodies import BodyRequest
from service.database import Database
from service.errors import NotFound, as_problem_details
from service.express import Express
from service.front import Front
from service.guards import require_file_name
from service.identity.passwords import Passwords
from service.identity.routes import AuthController
from service.identity.sessions import Lives, Sessions
from service.identity.tokens import Tokens
from service.limits import Limits
from service.patterns.routes import PatternsController
from service.protection import POLICY, page_policy
from service.recommendations.advice import Engine
from service.recommendations.batch import Keeping
from service.recommendations.circuit import Circuit
from service.recommendations.ledger import Budget
from service.recommendations.openai import OpenAI
from service.recommendations.routes import RecommendationsController
from service.recommendations.rules import Rules
from service.recommendations.story import Recommender
from service.recommendations.usage import UsageController
from service.runtime import Runtime, utc_now
from service.seal import Seal
from service.settings import DEFAULT_MODEL, Settings, SettingsError, read

# US dollars for a million tokens in and out of the default model, at OpenAI itself.
LIST_PRICES = Decimal("0.15"), Decimal("0.60")
LARGEST_BODY = 1024 * 1024  # bytes


def from_environment() -> ASGIApp:
    """Make the application as a worker process of the server does."""
    settings = read(os.environ)
    logging.config.dictConfig(logs.configuration(settings.log))
    app = create_app(settings)
    # All that is there by now stays. Set apart, it is not gone through again and again for what could be freed, which
    # took a tenth of a second in which nobody was answered.
    gc.collect()
    gc.freeze()
    return app


def create_app(settings: Settings, *, clock: Callable[[], datetime] = utc_now, engine: Engine | None = None) -> ASGIApp:
    """Make the application.

    `engine` is what makes recommendations; if not given, OpenAI where the settings have a key, else the rules. `clock`
    tells the time.

    Raises SettingsError where a setting that it cannot do without is missing, or those of identity do not fit together.
    """
    if settings.database_url is None or settings.seal_key is None:
        raise SettingsError("DAYMARK_DATABASE_URL and DAYMARK_SEAL_KEY: expected both")
    database_url, size, seal_key = settings.database_url, settings.pool_size, settings.seal_key
    tokens = Tokens.of(settings)

    @asynccontextmanager
    async def connected(app: Litestar) -> AsyncIterator[None]:
        database = await Database.open(database_url, size, Seal(seal_key), tokens.forget)
        openai = open_openai(settings) if engine is None else None
        maker = engine or (Rules() if openai is None else Circuit(openai))
        budget = budget_of(settings)
        recommender = Recommender(database, maker, keeping_of(settings), budget, settings.openai_timeout)
        circuit = maker if isinstance(maker, Circuit) else None
        limits = Limits(database, settings, seal_key)
        sessions = Sessions(database, tokens, Passwords(), lives_of(settings)) if settings.jwt_secret else None
        app.state.runtime = Runtime(settings, database, tokens, limits, sessions, recommender, budget, circuit, clock)
        limits.start()
        tokens.start()
        try:
            yield
        finally:
            await tokens.close()
            await limits.close()
            await recommender.close()
            if openai is not None:
                await openai.close()
            await database.close()

    app = Litestar(
        route_handlers=[
            PatternsController,
            RecommendationsController,
            UsageController,
            AuthController,
            AuditController,
            health.router,
            get_openapi,
            create_static_files_router(
                "/assets", [Path(litestar_offline_docs.__file__).parent / "static"], guards=[require_file_name]
            ),
        ],
        lifespan=[connected],
        plugins=[
            ProblemDetailsPlugin(ProblemDetailsConfig(exception_to_problem_detail_map={Exception: as_problem_details}))
        ],
        openapi_config=OpenAPIConfig(
            title="Daymark",
            version=version("daymark"),
            description="Daily scores in, patterns and recommendations out.",
            license=License(name="Apache-2.0", identifier="Apache-2.0"),
            components=Components(
                security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
            ),
            use_handler_docstrings=True,
            openapi_router=Router("/docs", route_handlers=[], include_in_schema=False, after_request=protect_page),
            render_plugins=[
                SwaggerRenderPlugin(
                    path="/",
                    js_url="/assets/swagger-ui-bundle.js",
                    css_url="/assets/swagger-ui.css",
                    standalone_preset_js_url="/assets/swagger-ui-standalone-preset.js",
                    favicon='<link rel="icon" href="data:,">',
                )
            ],
        ),
        request_class=BodyRequest,
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )
    return Front(app, Express(app), settings.cors_origins)


def open_openai(settings: Settings) -> OpenAI | None:
    """Make the engine that asks OpenAI; None where there is no key."""
    if settings.openai_api_key is None:
        return None
    return OpenAI(
        api_key=settings.openai_api_key,
        base_url=settings.openai_base_url,
        model=settings.openai_model,
        timeout=settings.openai_timeout,
    )


def keeping_of(settings: Settings) -> Keeping:
    """Give for how long recommendations are given out."""
    return Keeping(
        life=timedelta(seconds=settings.cache_ttl),
        fallback_life=timedelta(seconds=settings.fallback_ttl),
        stale=timedelta(seconds=settings.stale),
    )


def lives_of(settings: Settings) -> Lives:
    """Give how long our own sessions and their tokens last."""
    return Lives(
        access=timedelta(seconds=settings.access_ttl),
        session=timedelta(seconds=settings.refresh_ttl),
        grace=settings.refresh_grace,
    )


def budget_of(settings: Settings) -> Budget:
    """Give what a tenant may use of AI, and what that costs."""
    prices = settings.openai_input_price, settings.openai_output_price
    if prices == (None, None) and settings.openai_model == DEFAULT_MODEL and settings.openai_base_url is None:
        prices = LIST_PRICES
    return Budget(settings.daily_calls, settings.daily_tokens, *prices)


@get("/openapi.json", media_type=MediaType.JSON, include_in_schema=False)
async def get_openapi(request: Request[Any, Any, Any]) -> dict[str, object]:
    """Give the OpenAPI document."""
    return request.app.openapi_schema.to_schema()


async def protect_page(response: Response[object]) -> Response[object]:
    """Give a page of the API reference its policy; in place of Litestar's page of a 404, the problem that all get."""
    if response.status_code == NotFound.status:
        raise NotFound
    if isinstance(response.content, bytes):  # and not the nothing that OPTIONS answers
        response.headers[POLICY.decode()] = page_policy(response.content)
    return response
