"""Recordings begun and ended, by hand, from the past, by triggers."""
