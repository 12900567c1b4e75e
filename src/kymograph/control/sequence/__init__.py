"""Sequences: what a stand is to do, step by step, written as a file, checked before anything moves, and run.

Pure: no threads, no clock, no device. Time, values and the answers to commands are given from outside.
"""
