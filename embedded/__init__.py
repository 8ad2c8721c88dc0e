"""The whole platform as one process tree: gateway, broker, runner host and store, wired together here."""
