"""What is kept in a database: readings, what is shipped, and what a hub holds of others.

SQLite in the data folder, or PostgreSQL by one line of the station file. SQLAlchemy's Core, no objects that
know how to save themselves: each file here is a noun and its statements. Never imported by the engine.
"""
