"""How a tenant gets an installation of its own: each step can be repeated, and all of them undone."""
