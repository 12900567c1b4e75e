"""Shipping: what is kept here goes to hubs, the newest first; only what they have committed counts."""
