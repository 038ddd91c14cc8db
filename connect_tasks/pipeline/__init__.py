"""A release: facts, plan, performance. Only here are the repository and the server changed."""
