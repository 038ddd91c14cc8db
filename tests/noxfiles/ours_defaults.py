"""All of ours as default sessions: a bare `nox` would ship."""

import connect_tasks

connect_tasks.register(default=True)
