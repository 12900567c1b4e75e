"""The processes: an engine that faces the instruments, and a front that faces the network.

The engine is the process that was started. It binds the port, starts the front with it, and starts it
again whenever it ends; connections wait in the socket's queue meanwhile. Killing the front loses nothing.
"""
