"""`python -m gateway.control` prints the OpenAPI document of the control plane."""

from __future__ import annotations

import json

from gateway.control.app import routes_alone

print(json.dumps(routes_alone().openapi(), indent=2, ensure_ascii=False))
