"""Rows as they happen, over a WebSocket; the protocol is written down in `docs/format/live.md`.

    link's thread ─► Intake ─► Hub ─► Feed: a stream ─► Group: a view of it, encoded once ─► Outbox ─► client

Everything after the intake runs on the event loop and never waits for a client: each has a bounded queue of
its own and one task that sends from it.
"""
