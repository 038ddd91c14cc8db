"""Options for a session that is registered already would be lost (T4)."""

import connect_tasks

connect_tasks.register()
connect_tasks.register("release", tags=["ship"])
