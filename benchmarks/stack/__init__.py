"""The stack as processes of this machine: Redis, MongoDB and nginx from the stack's images on the machine's own
network, `deploy.gateway` and `deploy.host` from this checkout, runners in containers.

So every hop but the runners is the loopback's, as for the servers it is compared with.
"""
