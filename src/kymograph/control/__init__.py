"""Who may move what, when, and what happened: authority, interlocks, the life of commands, the audit.

Nothing here has a thread or a clock of its own. Times are monotonic nanoseconds that the caller gives, so
that every history can be played in a test.
"""
