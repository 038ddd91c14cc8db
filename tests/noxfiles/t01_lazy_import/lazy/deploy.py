"""A submodule with the name of a session."""
