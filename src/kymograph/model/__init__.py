"""The nouns of the house: what is measured, what is kept, what can go wrong.

No I/O, no threads, no clock of its own: everything here can be made, compared and tested in isolation.
"""
