"""The first five minutes: what `init` finds in a directory, and what it would write there."""
