"""`python -m embedded`: starts the platform, says where it listens, and stops it cleanly."""

from __future__ import annotations

import os
import sys

import plans
import settings
from deploy.process import fail, listen, run
from deploy.resources import OWN_FILES, fit_connections, give_back_large_blocks, runners_files
from embedded.first_start import generate_secrets


def main() -> int:
    """Runs until SIGINT or SIGTERM; the exit status is 0 when everything was stopped cleanly."""
    try:
        generate_secrets(settings.HOME, os.environ)
        chosen = settings.load()
        for folder in chosen.PLUGINS:
            if folder.exists() and not folder.is_dir():
                raise settings.BadSettings(f"PLUGINS: {folder} is no folder: name the folder that modules are in")
            if not folder.is_dir():
                raise settings.BadSettings(f"PLUGINS: folder {folder} is not there: create it, or name another in .env")
        for name in ("REDIS_URL", "KEPT_URL", "MONGO_URI"):
            if getattr(chosen, name):
                raise settings.BadSettings(f"{name}: this platform is one process tree without it: use ./docker-up.sh")
        known = plans.load(chosen.PLANS)
        chosen = fit_connections(chosen, OWN_FILES + runners_files(chosen))
        listener = listen(chosen.GATEWAY_HOST, chosen.GATEWAY_PORT)
    except settings.BadSettings as error:
        return fail(str(error))
    except OSError as error:
        return fail(f".env.local cannot be written: {error.strerror}: {error.filename}")
    give_back_large_blocks()

    # Only now: the platform's imports take most of the start, and wrong settings should not wait for them.
    from embedded.platform import Platform

    return run(Platform(chosen, known, listener, os.environ).run)


if __name__ == "__main__":
    sys.exit(main())
