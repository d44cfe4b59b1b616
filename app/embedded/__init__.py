"""PostgreSQL and a Raft group for a laptop and for tests: real servers, our own children.

Must never be used where DATABASE_URL and NATS_URL name servers, and must never listen on
anything but a unix socket or the loopback address.
"""
