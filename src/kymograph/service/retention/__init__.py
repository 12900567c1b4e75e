"""What is kept for how long: roll-ups of readings, queries that use them, thinning, and what it tells."""
