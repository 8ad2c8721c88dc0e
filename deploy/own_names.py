"""Names of environment variables that are the platform's own, which no function is told."""

from __future__ import annotations

import re
from typing import Final

from settings import HOME_VARIABLE, STACK_SECRETS, Settings

OWN_NAMES: Final = re.compile("|".join([*Settings.model_fields, r"URL_PARM\d+", STACK_SECRETS, HOME_VARIABLE]))
"""Settings, and the secrets of the stack's services."""
