"""Only some of our sessions: hints name the others as commands that need no noxfile."""

import connect_tasks

connect_tasks.register("check", "commit")
