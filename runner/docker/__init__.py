"""Launcher kind `docker`: a runner as a container. Tenants' code runs here or nowhere."""
