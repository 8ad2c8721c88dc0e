"""`python -m cli`: what the `plugbay` script runs."""

import io
import signal
import sys

from cli.app import app

# `plugbay logs | head`: a reader that has gone is no error.
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
# What a function answers may not be text in the terminal's encoding, or any.
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
app(prog_name="plugbay")
