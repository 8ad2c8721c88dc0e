"""What the control plane takes and gives of tokens and their keys."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from gateway.control.models import Given, Shown


class TokenKey(Shown):
    """A key that tokens are made with, without what is secret of it."""

    id: str = Field(description="Stands in each token made with it", examples=["0a1b2c3d"])
    created: float = Field(description="Unix time at which it was made")


class TokenKeys(Shown):
    """An owner's keys for tokens."""

    keys: list[TokenKey]


class NewTokenKey(TokenKey):
    """A key for tokens, shown this once."""

    key: str = Field(description="`pbk_…`, for `plugbay_client` and `browser/plugbay.js`")


class TokenRequest(Given):
    """The request that a token is to be for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"method": "GET", "target": "/rest/services/hello/hello-world/?name=Ada"}]}
    )

    method: str = Field(pattern=r"^[A-Z]{1,16}$", description="In capital letters")
    target: str = Field(max_length=8192, description="Path from /rest/ on with its query, exactly as it is sent")


class Token(Shown):
    """A token."""

    token: str = Field(description="For `Authorization: Token`")
