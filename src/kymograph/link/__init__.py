"""The engine's service across a local socket: one side serves it, the other calls it as if it were there."""
