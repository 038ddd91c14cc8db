"""The HTTP surface, one file per resource; each gives its `routes`."""
