"""What all instruments show at one time, put together and handed on: the engine's side of readings."""
