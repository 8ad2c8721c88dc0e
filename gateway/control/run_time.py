"""`/api/settings`: the settings that may change while the platform runs."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request

from gateway.control import audit, models
from gateway.control.errors import Rejected
from gateway.control.services import Services, Wired
from gateway.runtime_settings import BadChange

router: Final = APIRouter(tags=["settings"])


@router.get("/settings", summary="See the run-time settings")
async def see_settings(services: Wired, _: Annotated[models.NoQuery, Query()]) -> models.RuntimeSettings:
    """Every setting that may change while the platform runs."""
    return _shown(services)


@router.patch("/settings", summary="Change run-time settings")
async def change_settings(
    request: Request, services: Wired, change: models.SettingsChange, _: Annotated[models.NoQuery, Query()]
) -> models.RuntimeSettings:
    """Changes the given settings, all or none, from the next call on; a change outlives a restart."""
    given = change.model_dump(exclude_unset=True)
    try:
        await services.runtime.change(given)
    except BadChange as error:
        raise Rejected(422, error.problem, field=error.field) from error
    if given:
        about = {name: "as .env says" if value is None else str(value) for name, value in given.items()}
        await audit.record(request, "settings changed", **about)
    return _shown(services)


def _shown(services: Services) -> models.RuntimeSettings:
    return models.RuntimeSettings(
        settings=[models.RuntimeSetting.model_validate(setting) for setting in services.runtime.view()]
    )
