"""`python -m cli`: what the `plugbay` script runs."""

import signal

from cli.app import app

# `plugbay logs | head`: a reader that has gone is no error.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
app(prog_name="plugbay")
