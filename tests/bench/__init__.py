"""Measured figures beside the peers', taken in one run; `make bench` prints them as ratios."""
