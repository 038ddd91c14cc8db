"""The repository: what git says, what is committed and pushed, and how nobody's work is touched by that."""
