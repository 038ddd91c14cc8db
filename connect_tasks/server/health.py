"""Whether a page is healthy. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from ..configuration import VerifySettings
from .connect import Page

SICK = 500
#: Where Connect sends those whom it does not know.
SIGN_ON = "/__login__"
_MISSING = object()


def complaint(page: Page, wanted: VerifySettings) -> str | None:
    """What is wrong with a page, in a few words; None when it is as `verify` demands."""
    if page.redirected_to is not None:
        return f"the server sent us to {page.redirected_to.split('?')[0]}: a sign-on page stands before the app"
    if SIGN_ON in page.url:
        return f"the server sent us to {SIGN_ON}: a sign-on page stands before the app"
    if wanted.status and page.status not in wanted.status:
        return f"status {page.status} instead of {' or '.join(map(str, wanted.status))}"
    if not wanted.status and page.status >= SICK:
        return f"status {page.status}"
    if wanted.contains is not None and wanted.contains not in page.text:
        return f'the page does not contain "{wanted.contains}"'
    if wanted.matches is not None and not re.search(wanted.matches, page.text):
        return f"the page does not match /{wanted.matches}/"
    return _header_complaint(page, wanted) or _json_complaint(page, wanted)


def _header_complaint(page: Page, wanted: VerifySettings) -> str | None:
    headers = {name.lower(): value for name, value in page.headers.items()}
    for name, value in wanted.headers:
        if headers.get(name.lower()) != value:
            return f"header {name} is {headers.get(name.lower())!r} instead of {value!r}"
    return None


def _json_complaint(page: Page, wanted: VerifySettings) -> str | None:
    if not wanted.json:
        return None
    try:
        data = json.loads(page.text)
    except (ValueError, RecursionError):
        return "the page is not JSON"
    for path, value in wanted.json:
        found = _at(data, path)
        if found is _MISSING or found != value or isinstance(found, bool) != isinstance(value, bool):  # 1 == True
            return f"JSON field {path} is {'absent' if found is _MISSING else repr(found)} instead of {value!r}"
    return None


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(data, dict) or key not in data:
            return _MISSING
        data = data[key]
    return data
