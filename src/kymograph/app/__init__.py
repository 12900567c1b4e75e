"""The processes: an engine that faces the instruments, a front that faces the network, and a keeper that
moves what was composed into the database and ships it.

The engine is the process that was started. It binds the port, starts the others, and starts each again
whenever it ends; connections wait in the socket's queue meanwhile. Killing front or keeper loses nothing.
"""
