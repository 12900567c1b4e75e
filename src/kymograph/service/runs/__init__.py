"""Sequences under way."""
