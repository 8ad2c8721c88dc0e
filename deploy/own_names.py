"""Names of environment variables that are the platform's own, which no function is told."""

from __future__ import annotations

import re
from typing import Final

from settings import Settings

OWN_NAMES: Final = re.compile(
    "|".join([*Settings.model_fields, r"URL_PARM\d+", r"MONGO_(ROOT_)?PASSWORD", r"REDIS_(GATEWAY|HOST)_PASSWORD"])
)
"""Settings, and the secrets that ./docker-up.sh makes for the stack's services."""
