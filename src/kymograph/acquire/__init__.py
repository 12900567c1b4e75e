"""The device wing: a thread for each instrument, and the rows' way out to whoever listens."""
