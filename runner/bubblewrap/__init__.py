"""Launcher kind `bubblewrap`: a tenant's runner as a sandboxed local process tree, on a machine without Docker."""
