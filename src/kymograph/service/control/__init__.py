"""Who may move what, and what became of it."""
