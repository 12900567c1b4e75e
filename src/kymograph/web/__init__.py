"""The network's side of the house: native REST, live streams, keys, faces, and the dashboard's files.

It holds services (an engine across the link, an archive on the folder) and decides nothing. This is the only
floor with an event loop: what blocks runs in threads, and no slow client ever delays another.
"""
