"""Broker kind `redis`: gateways and runner hosts on any number of machines, with Redis between them.

A gateway pushes calls to the list of the host it chose, a host pushes replies to the list of the gateway
that asked; both read their own list many at a time. Everybody says on a channel that he lives. Redis keeps
nothing that must last: a process is known by its *incarnation*, which ends when its connection does, and
what is under way then is answered as lost.
"""
