"""`--html`: what a release did, on one page."""

from __future__ import annotations

from .conftest import Workshop

SECRET = "a-word-that-nobody-may-read"


def test_a_release_and_a_failure_each_leave_a_page(workshop: Workshop) -> None:
    page = workshop.root.parent / "page.html"

    released = workshop.run("release", "--html", str(page))

    assert released.status == 0
    text = page.read_text(encoding="utf-8")
    for stage in released.report["stages"]:
        assert f"<td>{stage['name']}</td>" in text
    assert "<summary>manifest.json</summary>" in text
    assert "appmode" in text, "the diff of a new manifest is all of it"
    assert released.report["live_commit"] in text
    assert "is ready" in text, "the server's log"
    assert workshop.server.api_key not in text

    workshop.environ["WORD"] = SECRET
    table = 'mode = "flask"\nentrypoint = "app:app"\nenv = ["WORD"]\ntest = { env = ["WORD"] }\n'
    workshop.write("pyproject.toml", f"[tool.connect-tasks]\n{table}")
    failing = "import os\n\n\ndef test_it():\n    assert os.environ['WORD'] == 'x'\n"
    workshop.commit(test_app_py=failing)

    assert workshop.run("release", "--html", str(page)).code == "CT500"

    text = page.read_text(encoding="utf-8")
    assert "CT500" in text
    assert "test_app.py" in text, "the tail of the log"
    assert SECRET not in text
    assert page.stat().st_mode & 0o077 == 0


def test_a_page_that_cannot_be_written_is_said(workshop: Workshop) -> None:
    ran = workshop.run("manifest", "--html", str(workshop.root / "nowhere" / "page.html"))

    assert "CT902" in ran.said
    assert ran.status == 1
