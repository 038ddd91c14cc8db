"""A notebook through the whole server: run when it is deployed, a page ever after."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(600)]


def files(source: str, **jupyter: bool) -> dict[str, str]:
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    manifest = {
        "version": 1,
        "metadata": {"appmode": "jupyter-static", "entrypoint": "nb.ipynb"},
        "python": {
            "version": ".".join(map(str, sys.version_info[:3])),
            "package_manager": {"name": "pip", "package_file": "requirements.txt"},
        },
        "jupyter": jupyter,
        "files": {},
    }
    return {
        "nb.ipynb": json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}),
        "requirements.txt": "nbconvert\nipykernel\n",
        "manifest.json": json.dumps(manifest),
    }


def test_it_is_run_by_the_deploy_and_a_failing_one_replaces_nothing(api, source, content):
    repository, guid = source(), content["guid"]
    repository.commit(files("print('sword' + 'fish')", hide_all_input=True))
    link = {"repository": repository.url, "branch": "main", "directory": ".", "polling": False}
    api.made("PUT", f"v1/content/{guid}/repository", link)
    api.deployed(guid)
    jobs = [job for job in api.made("GET", f"v1/content/{guid}/jobs") if job["tag"] == "build_jupyter"]
    assert [job["exit_code"] for job in jobs] == [0], "before anybody visits it"
    page = api.visit(f"/content/{guid}/").text
    assert "swordfish" in page
    assert "print" not in page.partition("<body")[2]

    repository.commit(files("1 / 0"))
    task = api.finished(api.made("POST", f"v1/content/{guid}/deploy", {})["task_id"])
    assert task["code"] != 0
    assert any("ZeroDivisionError" in line for line in task["output"])
    assert "swordfish" in api.visit(f"/content/{guid}/").text
