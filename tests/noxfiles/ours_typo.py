"""A name that is none of ours."""

import connect_tasks

connect_tasks.register("relase")
