"""What our commits say."""

from __future__ import annotations

import pytest

from connect_tasks.configuration import App
from connect_tasks.errors import ConfigurationInvalid
from connect_tasks.repository.commit_message import commit_message


def test_subject_pins_and_trailers() -> None:
    app = App(name="sales", target="production", message="Ship {app} to {target}", skip_ci=True)
    message = commit_message(
        app, changes=["flask 3.0.0 -> 3.0.1", "jinja2 added\n3.1"], trailers={"Tested": "no:\nfire"}
    )
    assert message == (
        "Ship sales to production [skip ci]\n\n* flask 3.0.0 -> 3.0.1\n* jinja2 added 3.1\n\nTested: no: fire\n"
    )
    assert commit_message(App(name="sales")) == "Release sales\n"


@pytest.mark.parametrize("template", ["{version}", "{app.name.__class__}", "{0}", "{", "{app:%Y}", "{}"])
def test_templates_that_can_not_be(template: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        commit_message(App(name="sales", message=template))
