"""The one style sheet, light and dark by the visitor's own setting."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #1b2430; --quiet: #5d6b7c; --line: #dfe4ea; --accent: #2459a8;
  --good: #17693c; --good-ground: #dff3e6; --bad: #a3241c; --bad-ground: #fbe4e1; --idle-ground: #e8ebef;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14181e; --card: #1c222a; --ink: #e4e9ef; --quiet: #98a5b5; --line: #2e3742; --accent: #86b3f5;
    --good: #7ed7a0; --good-ground: #173524; --bad: #f5a097; --bad-ground: #40201d; --idle-ground: #2a323c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, "DejaVu Sans", sans-serif; }
header { display: flex; gap: 1rem; align-items: center; padding: .8rem 1.5rem; background: var(--card);
  border-bottom: 1px solid var(--line); }
header a { font-weight: 600; color: inherit; }
header .end { margin-left: auto; color: var(--quiet); display: flex; gap: 1rem; align-items: center; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: .2rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; overflow-x: auto; }
.pad { padding: 1rem 1.2rem; margin: 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .6rem 1rem; border-top: 1px solid var(--line); vertical-align: middle; }
thead th { border-top: 0; font-size: .8rem; font-weight: 600; color: var(--quiet); }
td.actions { text-align: right; white-space: nowrap; }
td.actions > * + * { margin-left: .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1.2rem; margin: 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
pre { margin: 0; padding: 1rem 1.2rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
.badge { display: inline-block; padding: .05rem .6rem; border-radius: 99px; font-size: .82rem; font-weight: 600;
  background: var(--idle-ground); color: var(--quiet); white-space: nowrap; }
.badge.good { background: var(--good-ground); color: var(--good); }
.badge.bad { background: var(--bad-ground); color: var(--bad); }
form { display: inline; }
button { font: inherit; font-size: .9rem; padding: .25rem .8rem; border-radius: 7px; border: 1px solid var(--line);
  background: var(--card); color: var(--accent); cursor: pointer; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--card); }
input { font: inherit; padding: .4rem .7rem; border-radius: 7px; border: 1px solid var(--line);
  background: var(--ground); color: var(--ink); width: 22rem; max-width: 100%; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.bar { display: flex; gap: .7rem; align-items: center; flex-wrap: wrap; margin: .6rem 0 1.2rem; }
""".strip()
