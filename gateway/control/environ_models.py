"""What the control plane takes and gives of tenants' variables."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, field_validator

from gateway.control.models import Given, NoQuery, Shown

MAX_VALUE = 32 * 1024


ModuleName = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,62})?$")]


class ModuleQuery(NoQuery):
    """Whose variable."""

    module: ModuleName = Field("", description="Name of the one module that finds it; empty: all of the tenant's")


class NewVariable(Given):
    """A variable to be set."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"value": "postgres://...", "secret": True}]})

    value: str = Field(max_length=MAX_VALUE, description="What functions find; no NUL", repr=False)
    secret: bool = Field(True, description="Its value is never shown again")

    @field_validator("value")
    @classmethod
    def _plain(cls, value: str) -> str:
        if "\0" in value:
            raise ValueError("an environment variable has no NUL")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("it is no text: half of a surrogate pair stands alone") from error
        return value


class Variable(Shown):
    """One variable."""

    name: str = Field(examples=["DATABASE_URL"])
    module: str | None = Field(description="The one module that finds it; null: all of the tenant's")
    secret: bool
    value: str | None = Field(description="null: it is secret")


class Environ(Shown):
    """All variables of a tenant, by name and module."""

    variables: list[Variable]
