"""A hub: takes what stations ship, each row once, and knows what of each has arrived and what has not."""
