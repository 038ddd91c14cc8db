"""Notebooks that are pages: run once by nbconvert, then served as files."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from connect_tasks.emulator.instance import Instance, Launch

PAGE = "index.html"


def rendered(launch: Launch) -> Path:
    """Where the page of a notebook lies; made by `render`, absent before."""
    return launch.directory / ".rendered"


async def render(instance: Instance, data: Path) -> None:
    """Run the notebook in its bundle and keep the page. Raises StartFailed where a cell fails: then there is none."""
    launch = instance.launch
    unfinished = rendered(launch).with_name(f".rendering-{instance.job_key}")
    arguments = ["--to", "html", "--execute", "--output-dir", str(unfinished), "--output", PAGE, launch.entrypoint]
    if launch.hide_all_input:
        arguments.append("--no-input")
    if launch.hide_tagged_input:
        arguments += ["--TagRemovePreprocessor.enabled=True", "--TagRemovePreprocessor.remove_input_tags=hide_input"]
    python = instance.environment().python
    try:
        await instance.run([python, "-m", "nbconvert", *arguments], data)
        await instance.over()
        if instance.exit_code != 0:
            raise instance.failed(f"the notebook ended with exit code {instance.exit_code}")
        unfinished.replace(rendered(launch))
    finally:
        await instance.kill()
        await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
