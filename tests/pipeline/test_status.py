"""`status`: one line for each app and target, two columns that count, and an exit code for each case."""

from __future__ import annotations

from pathlib import Path

import pytest

from connect_tasks.emulator import running
from connect_tasks.server.live_state import Held, LiveState, Sync
from connect_tasks.server.server_drift import Difference

from .conftest import Ran, Workshop, make_workshop
from .hands import call, guid_of, released, version


@pytest.fixture
def shop(page: Workshop) -> Workshop:
    """A page: what is in the work tree, on the remote and on the server is no matter of Python."""
    return page


def line(ran: Ran) -> str:
    """The only line that tells the state."""
    (found,) = [text for text in ran.said.splitlines() if "work tree" in text]
    return found


def test_in_sync_and_healthy(workshop: Workshop) -> None:
    first = released(workshop)
    writes = workshop.writes()
    ran = workshop.run("status")
    assert (ran.status, ran.report["result"], ran.report["error"]) == (0, "ok", None), ran.said
    short = workshop.head[:10]
    for column in ("work tree clean", f"committed {short}", f"pushed {short}", f"live {short} as bundle"):
        assert column in line(ran)
    assert "in sync " in line(ran)
    assert "healthy " in line(ran)
    assert ran.said.strip().splitlines() == [line(ran)]
    state = ran.report["state"]
    assert (state["sync"], state["health"], state["differences"]) == ("in sync", "healthy", [])
    assert state["committed"] == state["pushed"] == state["live"] == workshop.head
    assert (ran.report["bundle"], ran.report["url"]) == (first.report["bundle"], first.report["url"])
    assert workshop.writes() == writes


def test_it_changes_nothing_here_either(shop: Workshop) -> None:
    released(shop)
    version(shop, 2)
    shop.write("index.html", "half done\n")
    before = everything(shop)
    assert shop.run("status").status == 2
    assert everything(shop) == before


def everything(shop: Workshop) -> dict[str, bytes]:
    """The clone byte for byte, without what git or we keep only to be quicker."""
    return {
        str(path.relative_to(shop.root)): path.read_bytes()
        for path in shop.root.rglob("*")
        if path.is_file() and "connect-tasks" not in path.parts
    }


def test_each_step_of_a_change_shows(shop: Workshop) -> None:
    assert shop.run("status").report["state"]["sync"] == "not deployed"
    first = released(shop).report["live_commit"]
    shop.write("index.html", "half done\n")
    shop.write("notes.txt", "mine\n")
    ran = shop.run("status")
    assert (ran.status, ran.report["state"]["sync"]) == (0, "in sync")  # uncommitted work is nobody's but its author's
    assert "work tree 1 changed and 1 untracked" in line(ran)
    assert ran.report["state"]["work_tree"] == {"changed": ["index.html"], "untracked": ["notes.txt"]}
    (shop.root / "notes.txt").unlink()

    second = version(shop, 2)
    ran = shop.run("status")
    assert (ran.status, ran.code, ran.report["state"]["sync"]) == (2, "CT890", "pending")
    assert f"committed {second[:10]}, pushed {first[:10]} differs" in line(ran)
    assert f"live {first[:10]} differs" in line(ran)
    assert "nox -s release" in ran.report["error"]["hint"]

    shop.git("push", "--quiet", "origin", "main")
    ran = shop.run("status")
    assert f"pushed {second[:10]}, " in line(ran)
    assert ran.status == 2
    released(shop)
    assert shop.run("status").status == 0


def test_other_apps_of_the_branch_change_nothing(shop: Workshop) -> None:
    """In sync is a matter of the app's tree, not of the commit."""
    (shop.root / "app").mkdir()
    shop.git("mv", "index.html", "app/index.html")
    shop.commit(**{"pyproject.toml": shop.table + '[tool.connect-tasks.apps.sales]\npath = "app"\n'})
    live = released(shop).report["live_commit"]
    shop.commit("another app", **{"other/app.py": "# not ours\n"})
    ran = shop.run("status")
    assert (ran.status, ran.report["state"]["sync"]) == (0, "in sync"), ran.said
    assert f"live {live[:10]} as bundle" in line(ran)
    assert live != shop.head


def test_drift_made_by_hand(shop: Workshop) -> None:
    shop.commit(**{"pyproject.toml": shop.table + 'title = "Sales"\nenv = ["COLOUR"]\n'})
    shop.environ["COLOUR"] = "blue"
    guid = guid_of(released(shop))
    call(shop, "PATCH", f"v1/content/{guid}", {"title": "Renamed"})
    call(shop, "PATCH", f"v1/content/{guid}/repository", {"directory": "elsewhere", "polling": True})
    call(shop, "PUT", f"v1/content/{guid}/environment", [])
    ran = shop.run("status")
    assert (ran.status, ran.code, ran.report["state"]["sync"]) == (2, "CT890", "drift"), ran.said
    told = " ".join(ran.report["state"]["differences"])
    for what in ("title is 'Renamed'", "directory is 'elsewhere'", "polling is True", "variable COLOUR is absent"):
        assert what in told
        assert what in ran.report["error"]["message"]
    assert "--force" in ran.report["error"]["hint"]


def test_after_a_rollback(shop: Workshop) -> None:
    released(shop)
    second = released(shop, 2)
    assert shop.run("rollback").status == 0
    ran = shop.run("status")
    assert (ran.status, ran.report["state"]["sync"]) == (2, "rolled back")
    assert ran.report["state"]["left_behind"] == second.report["bundle"]
    assert "release -- --force" in ran.report["error"]["hint"]


def test_live_but_unhealthy(shop: Workshop) -> None:
    guid = guid_of(released(shop))
    call(shop, "POST", "__emulator__/fault", {"pattern": f"GET /content/{guid}/", "status": 500, "times": None})
    try:
        ran = shop.run("status")
        version(shop, 2)
        pending = shop.run("status")
    finally:
        call(shop, "DELETE", "__emulator__/fault")
    assert (ran.status, ran.code) == (3, "CT891"), ran.said
    assert (ran.report["state"]["sync"], ran.report["state"]["health"]) == ("in sync", "unhealthy")
    assert "status 500" in ran.report["error"]["message"]
    assert (pending.status, pending.report["state"]["sync"]) == (3, "pending")  # the worse of the two


def pushed(shop: Workshop, number: int) -> None:
    """A new version on the remote that nobody has deployed."""
    version(shop, number)
    for verb in ("freeze", "manifest", "commit", "push"):
        ran = shop.run(verb)
        assert ran.status == 0, ran.said


def test_wait_until_the_servers_polling_has_done_it(tmp_path: Path, private_home: Path) -> None:
    with running(tmp_path / "connect", options=["--faults", "--poll-interval", "0.5"]) as server:
        shop = make_workshop(server, tmp_path, "polled", page=True)
        shop.commit(**{"pyproject.toml": shop.table + "polling = true\n"})
        released(shop)
        pushed(shop, 2)
        ran = shop.run("status", "--wait", "100")
        assert (ran.status, ran.report["state"]["sync"]) == (0, "in sync"), ran.said
        assert f"fetched {shop.head[:10]}, live {shop.head[:10]}" in line(ran)
        assert [stage["name"] for stage in ran.report["stages"]] == ["wait"]


def test_wait_is_over_when_its_time_is(shop: Workshop) -> None:
    released(shop)
    pushed(shop, 2)
    ran = shop.run("status", "--wait", "1.5")
    assert (ran.status, ran.report["state"]["sync"]) == (2, "pending")


def test_a_server_that_is_away_for_a_moment_is_waited_for(shop: Workshop) -> None:
    released(shop)
    call(shop, "POST", "__emulator__/fault", {"pattern": "GET /__api__/v1/user$", "reset": True, "times": 8})
    assert shop.run("status", "--wait", "60").status == 0


@pytest.mark.parametrize("wrong", ["0", "-1", "soon", "inf", "nan"])
def test_a_time_that_is_none(shop: Workshop, wrong: str) -> None:
    done = shop.process("status", "--wait", wrong)
    assert done.returncode == 4
    assert "seconds" in done.stderr


def test_each_app_on_each_target(workshop: Workshop) -> None:
    """Sales is on both targets, costs on one: three lines, and the exit code is the worst of them."""
    tail = workshop.name[-6:]
    for name in ("sales", "costs"):
        for file in ("app.py", "test_app.py", "requirements.in"):
            workshop.write(f"{name}/{file}", (workshop.root / file).read_text())
    for file in ("app.py", "test_app.py", "requirements.in"):
        (workshop.root / file).unlink()
    table = (
        workshop.table
        + '[tool.connect-tasks.apps.costs]\npath = "costs"\n[tool.connect-tasks.apps.sales]\npath = "sales"\n'
    )
    for app, target in (("costs", "staging"), ("sales", "staging"), ("sales", "production")):
        table += f'[tool.connect-tasks.apps.{app}.targets.{target}]\ncontent_name = "{app}-{target}-{tail}"\n'
    workshop.commit(**{"pyproject.toml": table})
    for app, target in (("costs", "staging"), ("sales", "staging")):
        assert workshop.run("release", "--app", app, "--target", target).status == 0
    ran = workshop.run("status")
    assert ran.status == 2
    lines = [text.split()[:4] for text in ran.said.splitlines() if "work tree" in text]
    assert lines == [
        ["costs", "staging", "in", "sync"],
        ["sales", "staging", "in", "sync"],
        ["sales", "production", "not", "deployed"],
    ]
    assert [(one["app"], one["target"], one["state"]["sync"]) for one in ran.report["apps"]] == [
        ("costs", "staging", "in sync"),
        ("sales", "staging", "in sync"),
        ("sales", "production", "not deployed"),
    ]
    problem = ran.report["apps"][2]["error"]  # the command moves this app on this target, and nothing else
    assert (problem["code"], problem["hint"]) == ("CT890", "nox -s release -- --app sales --target production")
    assert "sales on production" in problem["message"]
    assert workshop.run("status", "--app", "costs").status == 0
    assert workshop.run("status", "--app", "sales", "--target", "staging").status == 0
    assert workshop.run("status", "--app", "sales", "--target", "production").status == 2
    assert workshop.process("status", "--app", "cost").returncode == 4


def test_with_a_generated_branch(workshop: Workshop) -> None:
    """Its commits hold other trees than HEAD: what counts is the commit that they were made from."""
    workshop.commit(
        **{"pyproject.toml": workshop.table + 'deploy_branch = "deploy/production"\nexclude = ["test_*.py"]\n'}
    )
    released(workshop)
    ran = workshop.run("status")
    assert (ran.status, ran.report["state"]["sync"]) == (0, "in sync"), ran.said
    assert ran.report["state"]["live"] == ran.report["state"]["pushed"] != workshop.head
    version(workshop, 2)
    assert workshop.run("status").report["state"]["sync"] == "pending"


def test_a_remote_that_is_away_is_said_and_no_obstacle(shop: Workshop) -> None:
    released(shop)
    shop.commit(**{"pyproject.toml": (shop.root / "pyproject.toml").read_text() + "# more\n"})
    (shop.server.git_root / f"{shop.name}.git").rename(shop.server.git_root / f"{shop.name}.away")
    ran = shop.run("status")
    assert ran.status == 2
    assert "pushed -" in line(ran)
    assert ran.report["notes"]
    assert ran.report["state"]["sync"] == "pending"


# the line, without a server -------------------------------------------------------------------------------------------


def state(**changes: object) -> LiveState:
    settings: dict[str, object] = {
        "app": "sales",
        "target": None,
        "changed": (),
        "untracked": (),
        "committed": Held(commit="a" * 40, same=True),
        "pushed": Held(commit="a" * 40, same=True),
        "fetched": Held(commit=None),
        "live": Held(commit="a" * 40, same=True),
        "bundle": "7",
        "left_behind": None,
        "differences": (),
        "sick": None,
        "url": None,
    }
    return LiveState(**{**settings, **changes})  # type: ignore[arg-type]


OLD, LOST = Held(commit="b" * 40, same=False), Held(commit="c" * 40)
DIFFERENCE = Difference(of="title", found="a", wanted="b", by_hand=True)


@pytest.mark.parametrize(
    ("changes", "sync", "good"),
    [
        ({}, Sync.IN_SYNC, True),
        ({"sick": "status 500"}, Sync.IN_SYNC, False),
        ({"live": OLD}, Sync.PENDING, False),
        ({"live": OLD, "left_behind": "8"}, Sync.ROLLED_BACK, False),
        ({"live": LOST}, Sync.UNKNOWN, False),
        ({"bundle": None, "live": Held(commit=None)}, Sync.ABSENT, False),
        ({"differences": (DIFFERENCE,)}, Sync.DRIFT, False),
        ({"live": OLD, "differences": (DIFFERENCE,)}, Sync.PENDING, False),
    ],
)
def test_what_counts_as_in_sync(changes: dict[str, object], sync: Sync, good: bool) -> None:
    assert (state(**changes).sync, state(**changes).is_good) == (sync, good)


def test_the_columns_stand_below_each_other() -> None:
    lines = [str(state()), str(state(app="costs", target="production", live=OLD, sick="status 500"))]
    assert len({line.index("work tree") for line in lines}) == 1
    assert lines[0] == (
        "sales                     in sync       healthy    work tree clean, committed aaaaaaaaaa, pushed aaaaaaaaaa, "
        "fetched -, live aaaaaaaaaa as bundle 7"
    )
