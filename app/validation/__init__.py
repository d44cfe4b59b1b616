"""Validation in worker processes, under limits: never in the event loop.

This package must not be imported by the worker's side in a way that loads the web service:
`worker` imports `domain` only, so that it starts quickly and holds nothing secret.
"""
