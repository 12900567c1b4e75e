"""The native interface `/v1`: one file a noun, each with a router."""
