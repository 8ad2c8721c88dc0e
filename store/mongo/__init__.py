"""Store kind `mongo`: any number of gateways and runner hosts on one MongoDB.

Works on a standalone server as on a replica set, so no step spans two documents: what counts is committed
by writing one (`module_sets`). Everybody reads from memory what he read before (`cache`), is told of what
others change (`watch`), and goes on with what he knows while the database is away (`database`).
"""
