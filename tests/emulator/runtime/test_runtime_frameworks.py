"""Each framework for real, through the proxy under its mount: a page, its assets, one interaction."""

from __future__ import annotations

import json
import re
from html import unescape
from urllib.parse import urljoin

import aiohttp
import pytest

from connect_tasks.emulator.instances import StartFailed, read_log

pytestmark = [pytest.mark.anyio, pytest.mark.frameworks, pytest.mark.timeout(600)]

PUBLIC = {"Host": "connect.example.com", "Origin": "http://connect.example.com"}


async def page(front, launch, path="/") -> str:
    """The page as a visitor under the public name gets it; that name has no address, so redirects are followed here."""
    url = urljoin(f"{PUBLIC['Origin']}{launch.mount}/", path.lstrip("/"))
    for _ in range(4):
        here = url.replace(PUBLIC["Origin"], front.url)
        async with front.visitor.get(here, headers=PUBLIC, allow_redirects=False) as answer:
            if answer.status not in (301, 302, 307, 308):
                assert answer.status == 200, await answer.text()
                return await answer.text()
            url = urljoin(url, answer.headers["Location"])
            assert url.startswith(f"{PUBLIC['Origin']}{launch.mount}/"), "a redirect stays under the mount"
    raise AssertionError("redirected for ever")


async def assets_answer(front, launch, text: str) -> None:
    """Every script and style sheet that the page names on its own server is there."""
    named = re.findall(r"""(?:src|href)=["']([^"']+\.(?:js|css)(?:\?[^"']*)?)["']""", text)
    urls = {urljoin(f"{PUBLIC['Origin']}{launch.mount}/", unescape(url)) for url in named}
    own = {url for url in urls if url.startswith(PUBLIC["Origin"])}
    assert own, "a page without assets shows nothing about the mount"
    for url in own:
        assert url.startswith(f"{PUBLIC['Origin']}{launch.mount}/"), f"{url} leaves the mount"
        async with front.visitor.get(url.replace(PUBLIC["Origin"], front.url), headers=PUBLIC) as answer:
            assert answer.status == 200, url
            assert "html" not in answer.headers["Content-Type"], url


def on_both_paths(front, directory, environment, **options):
    """A bundle's draft path and its content's own, answered by one process: as when a draft goes live."""
    paths = ("/content/g/_bundle7", "/content/g")
    return [front.mount(directory, environment, guid="g", mount=path, key="g-7", **options) for path in paths]


def socket(front, launch, path: str, *protocols: str):
    return front.visitor.ws_connect(front.at(launch, path), protocols=protocols, headers=PUBLIC, max_msg_size=0)


DASH = """
    from dash import Dash, Input, Output, dcc, html
    app = Dash(__name__)
    app.layout = html.Div([dcc.Input(id="word", value="hello"), html.Div(id="shout")])

    @app.callback(Output("shout", "children"), Input("word", "value"))
    def shout(word):
        return word.upper()

    app.run()
    """


@pytest.mark.parametrize("entrypoint", ["app", "app:app"])
async def test_dash(front, build, bundle, entrypoint):
    launch = front.mount(bundle({"app.py": DASH}), await build("dash"), mode="python-dash", entrypoint=entrypoint)
    text = await page(front, launch)
    await assets_answer(front, launch, text)
    called = {
        "output": "shout.children",
        "outputs": {"id": "shout", "property": "children"},
        "inputs": [{"id": "word", "property": "value", "value": "quiet"}],
        "changedPropIds": ["word.value"],
    }
    async with front.visitor.post(front.at(launch, "/_dash-update-component"), json=called, headers=PUBLIC) as answer:
        assert (await answer.json())["response"]["shout"]["children"] == "QUIET"


STREAMLIT = """
    import streamlit
    import beside
    streamlit.write("the word is " + beside.WORD)
    """


@pytest.mark.parametrize("entrypoint", ["app", "app.py", "app:app"])
async def test_streamlit(front, build, bundle, entrypoint):
    directory = bundle({"app.py": STREAMLIT, "beside.py": "WORD = 'swordfish'"})
    launch = front.mount(directory, await build("streamlit"), mode="python-streamlit", entrypoint=entrypoint)
    text = await page(front, launch)
    await assets_answer(front, launch, text)
    async with socket(front, launch, "/_stcore/stream", "streamlit") as stream:
        assert stream.protocol == "streamlit"
        await stream.send_bytes(b"\x5a\x00")  # BackMsg: rerun the script
        while b"the word is swordfish" not in (await stream.receive_bytes(timeout=60)):
            pass


BOKEH = """
    from bokeh.io import curdoc
    from bokeh.models import Div
    curdoc().add_root(Div(text="the word is swordfish"))
    """
PANEL = """
    import panel
    panel.pane.Markdown("the word is swordfish").servable()
    """


@pytest.mark.parametrize(
    ("mode", "package", "source", "entrypoint"),
    [
        ("python-bokeh", "bokeh", BOKEH, "app"),
        ("python-bokeh", "bokeh", BOKEH, "app.py"),
        ("python-panel", "panel", PANEL, "app"),
        ("python-panel", "panel", PANEL, "app:app"),
    ],
    ids=["bokeh-module", "bokeh-file", "panel-module", "panel-object"],
)
async def test_bokeh_and_panel(front, build, bundle, mode, package, source, entrypoint):
    launch = front.mount(bundle({"app.py": source}), await build(package), mode=mode, entrypoint=entrypoint)
    text = await page(front, launch)
    await assets_answer(front, launch, text)
    token = re.search(r'"token":"([^"]+)"', text)[1]
    async with socket(front, launch, "/app/ws", "bokeh", token) as stream:
        assert stream.protocol == "bokeh"
        assert (await bokeh_message(stream))[0]["msgtype"] == "ACK"
        for part in ({"msgid": "1", "msgtype": "PULL-DOC-REQ"}, {}, {}):
            await stream.send_str(json.dumps(part))
        header, _, content = await bokeh_message(stream)
        assert header["msgtype"] == "PULL-DOC-REPLY"
        assert "the word is swordfish" in json.dumps(content)


async def bokeh_message(stream) -> list[dict]:
    """Header, metadata and content come as a message each."""
    return [json.loads(await stream.receive_str(timeout=60)) for _ in range(3)]


SHINY = """
    from shiny import App, render, ui
    app_ui = ui.page_fluid(ui.input_text("word", "Word", "hello"), ui.output_text("shout"))

    def server(input, output, session):
        @render.text
        def shout():
            return input.word().upper()

    app = App(app_ui, server)
    """
EXPRESS = """
    from shiny.express import input, render, ui
    ui.input_text("word", "Word", "hello")

    @render.text
    def shout():
        return input.word().upper()
    """


@pytest.mark.parametrize(
    ("source", "entrypoint"), [(SHINY, "app"), (EXPRESS, "shiny.express.app:app_2e_py")], ids=["core", "express"]
)
async def test_shiny(front, build, bundle, source, entrypoint):
    files, options = bundle({"app.py": source}), {"mode": "python-shiny", "entrypoint": entrypoint}
    for launch in on_both_paths(front, files, await build("shiny"), **options):
        text = await page(front, launch)
        await assets_answer(front, launch, text)
        first = {"word": "quiet", ".clientdata_output_shout_hidden": False, ".clientdata_pixelratio": 1}
        async with socket(front, launch, "/websocket/") as stream:
            await stream.send_str(json.dumps({"method": "init", "data": first}))
            while (json.loads(await stream.receive_str(timeout=60)).get("values") or {}).get("shout") != "QUIET":
                pass
    assert len(front.instances.jobs()) == 1


FLASK = """
    import os
    from flask import Flask, redirect, request, url_for
    app = Flask(__name__)

    @app.get("/")
    def home():
        return {"pid": os.getpid(), "other": url_for("other"), "full": url_for("other", _external=True),
                "script": request.script_root, "path": request.path}

    @app.get("/other/")
    def other():
        return redirect(url_for("home"))
    """
FASTAPI = """
    import os
    from fastapi import FastAPI, Request, WebSocket
    app = FastAPI()

    @app.get("/")
    def home(request: Request):
        full, scope = str(request.url_for("other")), request.scope
        return {"pid": os.getpid(), "other": request.url_for("other").path, "full": full,
                "script": scope["root_path"], "path": scope["path"].removeprefix(scope["root_path"])}

    @app.get("/other/")
    def other():
        return "here"

    @app.websocket("/talk")
    async def talk(socket: WebSocket):
        await socket.accept()
        await socket.send_text(f"{socket.scope['root_path']} {socket.scope['path']} {socket.url_for('talk').path}")
        await socket.close()
    """


OLD_UVICORN = """
    async def app(scope, receive, send):
        if scope["type"] == "http":
            text = " ".join([scope["root_path"], scope["path"], scope["raw_path"].decode()])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": text.encode()})
    """


@pytest.mark.parametrize(("version", "path"), [("0.25.0", "/x"), ("0.26.0", "/content/g/x")])
async def test_the_path_is_what_the_uvicorn_that_an_app_pins_makes_of_it(front, build, bundle, version, path):
    environment = await build(f"uvicorn=={version}")
    launch = front.mount(bundle({"app.py": OLD_UVICORN}), environment, mode="python-fastapi", guid="g")
    assert await front.get(launch, "/x") == (200, f"/content/g {path} {path}")


@pytest.mark.parametrize(
    ("mode", "package", "source"),
    [("python-api", "flask", FLASK), ("python-fastapi", "fastapi", FASTAPI)],
    ids=["flask", "fastapi"],
)
async def test_one_process_is_at_home_under_a_drafts_path_and_the_contents_own(
    front, build, bundle, mode, package, source
):
    pids = set()
    draft, live = on_both_paths(front, bundle({"app.py": source}), await build(package), mode=mode)
    for launch in (draft, live, draft):
        at = f"{PUBLIC['Origin']}{launch.mount}"
        told = json.loads(await page(front, launch))
        pids.add(told.pop("pid"))
        expected = {"other": f"{launch.mount}/other/", "full": f"{at}/other/", "script": launch.mount, "path": "/"}
        assert {name: told[name] for name in expected} == expected
        async with front.visitor.get(front.at(launch, "/other"), headers=PUBLIC, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) in {(308, f"{at}/other/"), (307, f"{at}/other/")}
        if mode == "python-fastapi":
            docs = await page(front, launch, "/docs")
            assert f"'{launch.mount}/openapi.json'" in docs
            schema = json.loads(await page(front, launch, "/openapi.json"))
            assert schema["servers"] == [{"url": launch.mount}]
            async with socket(front, launch, "/talk") as stream:
                said = await stream.receive_str(timeout=60)
            assert said == f"{launch.mount} {launch.mount}/talk {launch.mount}/talk"
    assert len(pids) == 1


GRADIO = """
    import gradio
    demo = gradio.Interface(lambda word: word.upper(), "text", "text", api_name="shout")
    {launch}
    """


@pytest.mark.parametrize(
    ("entrypoint", "launched"),
    [("app", ""), ("app:demo", "demo.launch()"), ("app", "demo.queue(); demo.launch(share=True)")],
)
async def test_gradio(front, build, bundle, entrypoint, launched):
    directory = bundle({"app.py": GRADIO.format(launch=launched)})
    launch = front.mount(directory, await build("gradio"), mode="python-gradio", entrypoint=entrypoint)
    text = await page(front, launch)
    await assets_answer(front, launch, text)
    url = front.at(launch, "/gradio_api/call/shout")
    async with front.visitor.post(url, json={"data": ["quiet"]}, headers=PUBLIC) as answer:
        event = (await answer.json())["event_id"]
    async with front.visitor.get(f"{url}/{event}", headers=PUBLIC) as events:
        assert 'event: complete\ndata: ["QUIET"]' in await events.text()


def notebook(*cells: str, **metadata) -> str:
    code = {"cell_type": "code", "execution_count": None, "outputs": []}
    return json.dumps(
        {
            "cells": [
                {**code, "id": f"c{n}", "metadata": metadata if n == 0 else {}, "source": cell}
                for n, cell in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


NOTEBOOK = notebook("import os, beside\nprint('the word is ' + beside.WORD, os.environ['CONNECT_CONTENT_GUID'])")


async def test_voila(front, build, bundle):
    directory = bundle({"nb.ipynb": NOTEBOOK, "beside.py": "WORD = 'sword' + 'fish'"})
    environment = await build("voila", "ipykernel")
    launch = front.mount(directory, environment, mode="jupyter-voila", entrypoint="nb.ipynb")
    text = await page(front, launch)
    assert f"the word is swordfish {launch.guid}" in text
    await assets_answer(front, launch, text)
    kernel = re.search(r'"kernelId":\s*"([^"]+)"', text)[1]
    async with socket(front, launch, f"/api/kernels/{kernel}/channels") as stream:
        asked = {"msg_id": "1", "msg_type": "kernel_info_request", "session": "s", "username": "", "version": "5.3"}
        rest = {"parent_header": {}, "metadata": {}, "content": {}, "buffers": [], "channel": "shell"}
        await stream.send_str(json.dumps({"header": asked, **rest}))
        while (json.loads(await stream.receive_str(timeout=60)))["msg_type"] != "kernel_info_reply":
            pass


async def test_a_notebook_becomes_a_page(front, build, bundle):
    directory = bundle({"deep/nb.ipynb": NOTEBOOK, "deep/beside.py": "WORD = 'sword' + 'fish'"})
    environment = await build("nbconvert", "ipykernel")
    launch = front.mount(directory, environment, mode="jupyter-static", entrypoint="deep/nb.ipynb")
    text = await page(front, launch)
    assert f"the word is swordfish {launch.guid}" in text
    assert "import os" in unescape(re.sub("<[^>]*>", "", text))
    assert (await front.get(launch, "/deep/nb.ipynb"))[0] == 404, "the page is published, not its source"
    (job,) = front.instances.jobs()
    assert (job.mode.tag, job.exit_code, job.alive) == ("build_jupyter", 0, False)
    await front.instances.retire(lambda _launch: True)
    assert (await front.get(launch))[0] == 200
    assert len(front.instances.jobs()) == 1, "it is run once per bundle"


async def test_a_notebooks_code_can_be_hidden(front, build, bundle):
    environment = await build("nbconvert", "ipykernel")
    source = notebook("print('sword' + 'fish')", "print('cat' + 'fish')", tags=["hide_input"])
    for name, hide in (("all", {"hide_all_input": True}), ("tagged", {"hide_tagged_input": True})):
        directory = bundle({"nb.ipynb": source}, name)
        launch = front.mount(directory, environment, mode="jupyter-static", entrypoint="nb.ipynb", guid=name)
        front.launches[launch.mount] = type(launch)(**{**vars(launch), **hide})
        text = re.sub("<[^>]*>", "", await page(front, launch))
        assert "swordfish" in text
        assert "catfish" in text
        assert "sword'" not in unescape(text)
        assert ("cat'" in unescape(text)) is (name == "tagged")


async def test_a_notebook_whose_cell_fails_has_no_page_and_says_why(front, build, bundle):
    directory = bundle({"nb.ipynb": notebook("1 / 0")})
    environment = await build("nbconvert", "ipykernel")
    launch = front.mount(directory, environment, mode="jupyter-static", entrypoint="nb.ipynb")
    with pytest.raises(StartFailed, match="the notebook ended with exit code 1") as caught:
        await front.instances.get(launch)
    assert "ZeroDivisionError" in caught.value.log
    assert [path.name for path in directory.iterdir()] == ["nb.ipynb"]
    (job,) = front.instances.jobs()
    assert any("ZeroDivisionError" in entry["data"] for entry in read_log(job.log))


async def test_frameworks_refuse_what_is_not_in_the_bundle(front, build, bundle):
    launch = front.mount(bundle({}), await build("bokeh"), mode="python-bokeh", entrypoint="missing")
    with pytest.raises(StartFailed) as caught:
        await front.instances.get(launch)
    assert "entrypoint 'missing': the bundle has no file missing.py" in caught.value.log


async def test_websockets_of_foreign_origins_are_the_apps_to_judge(front, build, bundle):
    """Voila refuses one whose Origin is not its Host: that it can is why both are kept."""
    environment = await build("voila", "ipykernel")
    launch = front.mount(bundle({"nb.ipynb": notebook("1")}), environment, mode="jupyter-voila", entrypoint="nb.ipynb")
    kernel = re.search(r'"kernelId":\s*"([^"]+)"', await page(front, launch))[1]
    url = front.at(launch, f"/api/kernels/{kernel}/channels")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await front.visitor.ws_connect(url, headers={**PUBLIC, "Origin": "http://evil.example"})
    assert caught.value.status == 403
