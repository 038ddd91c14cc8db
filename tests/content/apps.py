"""A small real app for each mode: file name -> content."""

from __future__ import annotations

from pathlib import Path

COMMON = {
    "requirements.txt": "flask==3.1.0\nrsconnect-helper==1.0\n",
    ".python-version": "3.11\n",
    "data/a b.csv": "1,2\n",
}
NOTEBOOK = '{"cells": [], "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}\n'
GRADIO = "import gradio as gr\n\nwith gr.Blocks() as demo:\n    gr.Markdown('hello')\n\ndemo.launch()\n"

APPS: dict[str, dict[str, str]] = {
    "flask": {"app.py": "from flask import Flask\n\napp = Flask(__name__)\n"},
    "fastapi": {"main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"},
    "dash": {"app.py": "from dash import Dash, html\n\napp = Dash(__name__)\napp.layout = html.Div('hello')\n"},
    "streamlit": {"app.py": "import streamlit as st\n\nst.title('hello')\n"},
    "bokeh": {"app.py": "from bokeh.plotting import curdoc, figure\n\ncurdoc().add_root(figure())\n"},
    "shiny": {"app.py": "from shiny import App, ui\n\napp = App(ui.page_fluid('hello'), None)\n"},
    "shiny-express": {"app.py": "from shiny.express import ui\n\nui.h1('hello')\n"},
    "gradio": {"app.py": GRADIO},
    "panel": {"app.py": "import panel as pn\n\npn.panel('# hello').servable()\n"},
    "notebook": {"report.ipynb": NOTEBOOK, "helper.py": "x = 1\n"},
    "voila": {"report.ipynb": NOTEBOOK, "voila.json": "{}\n", "helper.py": "x = 1\n"},
    "voila-many": {"one.ipynb": NOTEBOOK, "two.ipynb": NOTEBOOK},
    "quarto": {"_quarto.yml": "project:\n  type: website\n", "index.qmd": "# hello\n", "about.qmd": "# about\n"},
    "tensorflow": {"1/saved_model.pb": "not a model, as far as the manifest goes\n", "1/variables/v.index": "\n"},
    "html": {"index.html": "<h1>hello</h1>\n", "style.css": "h1 { color: teal }\n", "more/page.html": "<p>more</p>\n"},
}


def make_app(directory: Path, name: str) -> Path:
    """Write the app `name` with what every app has besides; returns `directory`."""
    for path, content in {**COMMON, **APPS[name]}.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return directory
