"""The getting-started app of the Flask documentation, grown just enough to be honest.

The page has a template, a style sheet and a link, so that a wrong URL prefix is visible; the API has JSON in and out;
`/health` says whether the app is up.
"""

from __future__ import annotations

import platform
from typing import Any

from flask import Flask, jsonify, render_template, request
from markupsafe import escape

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return render_template("index.html", python=platform.python_version())


@app.get("/hello/<name>")
def hello(name: str) -> str:
    return f"<p>Hello, {escape(name)}!</p>"


@app.get("/api/greetings")
def greetings() -> Any:
    name = request.args.get("name", "world")
    return jsonify(greeting=f"Hello, {name}!", mounted_at=request.script_root)


@app.post("/api/sum")
def total() -> Any:
    numbers = (request.get_json(silent=True) or {}).get("numbers")
    if not isinstance(numbers, list) or not all(isinstance(number, (int, float)) for number in numbers):
        return jsonify(error='send {"numbers": [1, 2, 3]}'), 400
    return jsonify(sum=sum(numbers))


@app.get("/health")
def health() -> Any:
    return jsonify(status="ok")
