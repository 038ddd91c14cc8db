"""A run as one page: self-contained, nothing from the network, light and dark, under a megabyte. Pure.

It is made of redacted data alone, see `runner`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

#: Bytes of notes, diffs and logs together, over all apps; with the tables around them it stays below a megabyte.
ROOM = 600_000
#: Apps of which all is shown; of hundreds the result is what people read.
DETAILED = 40
#: Characters of a line that are shown.
LINE = 400

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24; --dim: #57606a; --line: #d0d7de; --soft: #f6f8fa;
  --ok: #1a7f37; --failed: #b42318; --bar: #8bb4e7; --added: #dafbe1; --gone: #ffebe9; --link: #0550ae }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --text: #e6edf3; --dim: #9aa4af; --line: #30363d;
  --soft: #161b22; --ok: #4ac26b; --failed: #ff8c82; --bar: #2f5f9e; --added: #12361f; --gone: #4a1d1b;
  --link: #79b8ff } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2rem 0 .3rem }
h3 { font-size: 1rem; margin: 1rem 0 .3rem }
a { color: var(--link) } p { margin: .3rem 0; overflow-wrap: anywhere } .dim { color: var(--dim) }
.ok, .changed, .noop { color: var(--ok) } .failed { color: var(--failed) }
.problem { border-left: 4px solid var(--failed); background: var(--soft); padding: .5rem 1rem; margin: 1rem 0 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .5rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere } th { font-weight: 600 }
td.seconds { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
td.bar { width: 25% } .bar i { display: block; height: .8rem; margin-top: .35rem; background: var(--bar) }
details { margin: .7rem 0 } ul { margin: .3rem 0; padding-left: 1.2rem }
pre { background: var(--soft); border: 1px solid var(--line); padding: .7rem; overflow: auto; max-height: 30rem;
  font: 13px/1.45 ui-monospace, monospace } pre span { display: block }
.added { background: var(--added) } .gone { background: var(--gone) } summary { cursor: pointer; font-weight: 600 }
@media (max-width: 40rem) { td.bar { display: none } }
"""


def render(verb: str, reports: Sequence[Mapping[str, Any]], *, when: str, version: str) -> str:
    """A page about the run of `verb`. A report is `Report.as_json()`, with `diffs` (name -> text) and `log` (lines)."""
    seconds = sum(stage["seconds"] for report in reports for stage in report["stages"])
    failed = sum(report["error"] is not None for report in reports)
    result = f"{failed} of {len(reports)} failed" if failed and len(reports) > 1 else _word(reports)
    room = ROOM // max(1, min(len(reports), DETAILED))
    parts = (
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(verb)}: {escape(result)}</title><style>{_STYLE}</style></head><body>",
        f'<header><h1>{escape(verb)}: <span class="{"failed" if failed else "ok"}">{escape(result)}</span></h1>',
        f'<p class="dim">{escape(when)}, {seconds:.1f} s, connect_tasks {escape(version)}</p></header><main>',
        *(part for number, each in enumerate(reports) for part in _app(each, room if number < DETAILED else 0)),
        "</main></body></html>",
    )
    return "\n".join(parts) + "\n"


def _word(reports: Sequence[Mapping[str, Any]]) -> str:
    results = {report["result"] for report in reports}
    return next((word for word in ("failed", "changed", "ok", "noop") if word in results), "ok")


def _app(report: Mapping[str, Any], room: int) -> Iterator[str]:
    name = " on ".join(filter(None, (report["app"], report["target"]))) or report["verb"]
    yield f'<section><h2>{escape(name)} <span class="{escape(report["result"])}">{escape(report["result"])}</span></h2>'
    yield from _problems(report["error"])
    yield from _facts(report)
    if not room:
        yield "</section>"
        return
    if report["stages"]:
        yield from _stages(report["stages"], report["server"])
    yield from (f"<p>{escape(note)}</p>" for note in _tail(report["notes"], room // 4, end=False))
    news = "".join(f"<li>{escape(commit)}</li>" for commit in _tail(report["commits"], room // 8, end=False))
    if news:
        yield f"<h3>New since what was live</h3><ul>{news}</ul>"
    for path, diff in report["diffs"].items():
        lines = _tail(diff.splitlines(), room // 8, end=False)
        yield f"<details><summary>{escape(path)}</summary><pre>{''.join(map(_diff_line, lines))}</pre></details>"
    lines = _tail(report["log"], room // 2, end=True)
    if lines:
        body = "".join(f"<span>{escape(line)}</span>" for line in lines)
        opened = " open" if report["error"] else ""
        yield f"<details{opened}><summary>the last {len(lines)} lines of the log</summary><pre>{body}</pre></details>"
    yield "</section>"


def _problems(error: Mapping[str, Any] | None) -> Iterator[str]:
    if error is None:
        return
    for each in error.get("all", [error])[:50]:
        hint = f"<p>next: <code>{escape(each['hint'])}</code></p>" if each["hint"] else ""
        yield f'<div class="problem"><p><b>{escape(each["code"])}</b> {escape(each["message"][:4000])}</p>{hint}</div>'


def _facts(report: Mapping[str, Any]) -> Iterator[str]:
    words = {"live_commit": "live", "bundle": "bundle"}
    if report["commit"] != report["live_commit"]:
        words = {"commit": "commit", **words}
    told = [f"{word} <code>{escape(str(report[key]))}</code>" for key, word in words.items() if report[key]]
    if told:
        yield f"<p>{', '.join(told)}</p>"
    url = report["url"]
    if url and url.startswith(("http://", "https://")):
        yield f'<p><a href="{escape(url)}">{escape(url)}</a></p>'


def _stages(stages: Sequence[Mapping[str, Any]], server: Mapping[str, Any]) -> Iterator[str]:
    """A line for each stage, and one for the server's share of them all."""
    longest = max((stage["seconds"] for stage in stages), default=0) or 1
    yield "<table><thead><tr><th>stage</th><th>result</th><th>time</th><th>last run</th><th></th>"
    yield "<th>what came of it</th></tr></thead>"
    share = {"name": "server", "result": "", "detail": "of that: waiting for Connect", **server}
    for stage in (*stages, share):
        before = "" if stage["before"] is None else f"{stage['before']:.2f} s"
        yield (
            f'<tr><td>{escape(stage["name"])}</td><td class="{escape(stage["result"])}">{escape(stage["result"])}</td>'
            f'<td class="seconds">{stage["seconds"]:.2f} s</td><td class="seconds dim">{before}</td>'
            f'<td class="bar"><i style="width:{min(100, 100 * stage["seconds"] / longest):.0f}%"></i></td>'
            f"<td>{escape(stage['detail'][:LINE])}</td></tr>"
        )
    yield "</table>"


def _tail(lines: Iterable[str], room: int, *, end: bool) -> list[str]:
    """As many lines as there is room for, from the end or from the beginning; escaping may make five bytes of one."""
    kept: list[str] = []
    every = list(lines)
    for line in reversed(every) if end else every:
        cut = line if len(line) <= LINE else f"{line[:LINE]}..."
        room -= len(escape(cut).encode("utf-8", "replace")) + 30
        if room < 0:
            break
        kept.append(cut)
    return kept[::-1] if end else kept


def _diff_line(line: str) -> str:
    kind = {"+": "added", "-": "gone"}.get(line[:1], "") if not line.startswith(("+++", "---")) else "dim"
    return f'<span class="{kind}">{escape(line) or " "}</span>'
