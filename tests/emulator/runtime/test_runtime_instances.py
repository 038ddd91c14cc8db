"""When apps start and stop: first visits, crashes, drains, idleness, jobs and their logs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap

import pytest

from connect_tasks.emulator import job_logs, processes
from connect_tasks.emulator.instances import Instances, StartFailed, read_log, unsupported

pytestmark = pytest.mark.anyio

#: Says what it is told; /slow waits for a file of that name to appear in its directory; /crash ends the process.
APP = """
    import os, pathlib, sys, time
    print("started", flush=True)

    def app(environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/crash":
            print("crashing", file=sys.stderr)
            os._exit(3)
        if path == "/slow":
            pathlib.Path("asked").touch()
            while not pathlib.Path("slow").exists():
                time.sleep(0.01)
        start_response("200 OK", [])
        return [("%s %s" % (os.environ.get("WORD", "hello"), os.getpid())).encode()]
"""


@pytest.fixture
async def app(bundle):
    return bundle({"app.py": APP})


async def pid_of(front, launch) -> int:
    return int((await front.get(launch))[1].split()[1])


async def test_many_first_visitors_share_one_start(front, build, app):
    launch = front.mount(app, await build())
    answers = await asyncio.gather(*(front.get(launch) for _ in range(30)))
    assert len(set(answers)) == 1
    assert answers[0][0] == 200
    assert len(front.instances.jobs()) == 1


async def test_a_visitor_who_leaves_does_not_stop_the_start_for_the_others(front, build, bundle):
    slow = bundle({"app.py": f"import time; time.sleep(0.3)\n{textwrap.dedent(APP)}"})
    launch = front.mount(slow, await build())
    impatient = asyncio.create_task(front.instances.get(launch))
    patient = asyncio.create_task(front.instances.get(launch))
    await asyncio.sleep(0.05)
    impatient.cancel()
    assert (await patient).alive
    assert len(front.instances.jobs()) == 1


async def test_after_a_crash_the_next_visit_starts_it_again(front, build, app):
    launch = front.mount(app, await build())
    first = await pid_of(front, launch)
    assert (await front.get(launch, "/crash"))[0] == 502
    second = await pid_of(front, launch)
    assert second != first
    running, crashed = front.instances.jobs()
    assert (running.alive, running.exit_code, running.pid) == (True, None, second)
    assert (crashed.alive, crashed.exit_code, crashed.pid) == (False, 3, first)
    assert crashed.ended >= crashed.started


async def test_a_job_has_a_log_of_its_own_with_source_and_time(front, build, app):
    launch = front.mount(app, await build())
    await front.get(launch, "/crash")
    await front.get(launch)
    running, crashed = front.instances.jobs()
    assert [(entry["source"], entry["data"]) for entry in read_log(crashed.log)] == [
        ("stdout", "started"),
        ("stderr", "crashing"),
    ]
    assert [entry["data"] for entry in read_log(running.log)] == ["started"]
    assert [entry["data"] for entry in read_log(crashed.log, last=1)] == ["crashing"]
    assert all(entry["timestamp"].endswith("Z") and len(entry["timestamp"]) == 30 for entry in read_log(crashed.log))
    assert running.log.parent == launch.log.parent
    assert running.job_key in running.log.name


async def test_a_start_that_takes_too_long_fails_and_leaves_nothing(tmp_path, front, build, bundle, alive):
    hang = bundle({"app.py": "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)"})
    instances = Instances(tmp_path / "data", idle_timeout=60, startup_timeout=1)
    with pytest.raises(StartFailed, match="did not answer within 1 s") as caught:
        await instances.get(front.mount(hang, await build()))
    assert not alive(int(caught.value.log))
    assert [job.alive for job in instances.jobs()] == [False]
    await instances.close()


async def test_a_failed_start_is_tried_again_by_the_next_visit(front, build, bundle):
    directory = bundle({"app.py": "1/0"})
    launch = front.mount(directory, await build())
    assert (await front.get(launch))[0] == 503
    bundle({"app.py": APP})
    assert (await front.get(launch))[0] == 200


async def test_retired_it_answers_what_it_was_asked_then_ends(front, build, app, until):
    old = front.mount(app, await build(), WORD="old")
    await front.get(old)
    slow = asyncio.create_task(front.get(old, "/slow"))
    await until((app / "asked").exists)
    retiring = asyncio.create_task(front.instances.retire(lambda launch: launch.bundle_id == "1"))
    new = front.mount(app, await build(), bundle_id="2", WORD="new")
    assert (await front.get(new))[1].startswith("new ")
    assert not retiring.done()
    (app / "slow").touch()
    assert (await slow)[1].startswith("old ")
    await retiring
    assert [(job.launch.bundle_id, job.alive) for job in front.instances.jobs()] == [("2", True), ("1", False)]


async def test_a_drain_has_an_end(front, build, app, until):
    launch = front.mount(app, await build())
    await front.get(launch)
    slow = asyncio.create_task(front.get(launch, "/slow"))
    await until((app / "asked").exists)
    await front.instances.retire(lambda _launch: True, drain=0.1)
    assert (await slow)[0] == 502
    assert not front.instances.jobs()[0].alive


async def test_an_app_retired_while_it_starts_is_no_longer_served(front, build, app):
    launch = front.mount(app, await build())
    starting = asyncio.create_task(front.instances.get(launch))
    await asyncio.sleep(0)
    await front.instances.retire(lambda _launch: True)
    assert not (await starting).alive
    assert (await front.instances.get(launch)).alive
    assert len(front.instances.jobs()) == 2


async def test_switching_under_load_refuses_nobody_and_never_goes_back(front, build, app):
    environment = await build()
    versions = iter(range(1, 100))

    def switch():
        number = next(versions)
        return front.mount(app, environment, bundle_id=str(number), WORD=str(number), mount="/app")

    launch = switch()
    await front.get(launch)
    done = asyncio.Event()
    seen: list[int] = []

    async def visitor():
        newest = 0
        while not done.is_set():
            status, text = await front.get(launch)
            assert status == 200, text
            version = int(text.split()[0])
            assert version >= newest
            newest = version
            seen.append(version)

    async def activate():
        current = front.launches["/app"]
        new = switch()
        front.launches["/app"] = current  # visitors keep the old one until the new one answers
        await front.instances.get(new)
        front.launches["/app"] = new
        await front.instances.retire(lambda launch: launch.bundle_id != new.bundle_id)

    visitors = [asyncio.create_task(visitor()) for _ in range(40)]
    for _ in range(4):
        await activate()
    done.set()
    await asyncio.gather(*visitors)
    assert set(seen) == {1, 2, 3, 4, 5} or set(seen) == {1, 2, 3, 4}  # the last may come after the last visit
    assert sum(job.alive for job in front.instances.jobs()) == 1


async def test_idle_apps_are_stopped_and_start_again_at_the_next_visit(tmp_path, front, build, app, until):
    instances = Instances(tmp_path / "data", idle_timeout=0.2, startup_timeout=30)
    front.instances = instances
    launch = front.mount(app, await build())
    first = await pid_of(front, launch)
    slow = asyncio.create_task(front.get(launch, "/slow"))
    await until((app / "asked").exists)
    await asyncio.sleep(0.5)
    assert instances.jobs()[0].alive, "it is in use"
    (app / "slow").touch()
    await slow
    await until(lambda: not instances.jobs()[0].alive)
    assert await pid_of(front, launch) != first
    await instances.close()


async def test_a_job_can_be_terminated_by_its_key(front, build, app, alive):
    launch = front.mount(app, await build())
    pid = await pid_of(front, launch)
    (job,) = front.instances.jobs()
    assert await front.instances.terminate("no-such-key") is False
    assert await front.instances.terminate(job.job_key) is True
    assert not alive(pid)
    assert await front.instances.terminate(job.job_key) is False
    assert await pid_of(front, launch) != pid


async def test_drafts_and_active_bundles_live_side_by_side(front, build, app):
    environment = await build()
    active = front.mount(app, environment, WORD="active", mount="/content/g", guid="g")
    draft = front.mount(app, environment, WORD="draft", mount="/content/g/_bundle2", guid="g", bundle_id="2")
    assert (await front.get(active))[1].split()[0] == "active"
    assert (await front.get(draft))[1].split()[0] == "draft"
    assert len(front.instances.jobs()) == 2


async def test_closing_kills_everything_and_starts_nothing_more(tmp_path, front, build, app, alive):
    launch = front.mount(app, await build())
    pid = await pid_of(front, launch)
    other = front.mount(app, await build(), guid="other")
    starting = asyncio.create_task(front.instances.get(other))
    await asyncio.sleep(0.05)
    await front.instances.close()
    assert not alive(pid)
    with pytest.raises((StartFailed, asyncio.CancelledError)):
        await starting
    with pytest.raises(StartFailed, match="shutting down"):
        await front.instances.get(launch)
    assert not any(job.alive for job in front.instances.jobs())


async def test_every_job_is_told_when_it_starts_answers_and_ends(tmp_path, front, build, app, bundle):
    told = []
    instances = Instances(
        tmp_path / "data",
        idle_timeout=60,
        startup_timeout=30,
        changed=lambda job: told.append((job.job_key, job.alive, job.pid)),
    )
    good = await instances.get(front.mount(app, await build()))
    await instances.terminate(good.job_key)
    left = await instances.get(front.mount(app, await build(), guid="left"))
    with pytest.raises(StartFailed):
        await instances.get(front.mount(bundle({"app.py": "1/0"}, "bad"), await build(), guid="bad"))
    await instances.close()
    bad = told[-2][0]
    assert told == [
        (good.job_key, True, None),
        (good.job_key, True, good.pid),
        (good.job_key, False, good.pid),
        (left.job_key, True, None),
        (left.job_key, True, left.pid),
        (bad, True, None),
        (bad, False, None),
        (left.job_key, False, left.pid),  # by the end of the server
    ]
    assert None not in (good.pid, left.pid)


async def test_a_bundle_that_is_gone_fails_as_a_start_and_so_does_one_without_an_environment(
    front, build, app, tmp_path
):
    gone = front.mount(tmp_path / "gone", await build(), guid="gone")
    with pytest.raises(StartFailed, match="gone: No such file or directory"):
        await front.instances.get(gone)
    with pytest.raises(StartFailed, match="no Python environment"):
        await front.instances.get(front.mount(app, None, guid="none"))
    assert [job.alive for job in front.instances.jobs()] == [False, False]


@pytest.mark.parametrize("mode", ["quarto-static", "tensorflow-saved-model", "nodejs", "rmd-static", "nonsense"])
async def test_what_cannot_run_here_says_so(front, build, bundle, mode):
    launch = front.mount(bundle({}), await build(), mode=mode)
    with pytest.raises(StartFailed, match="is not in this emulator") as caught:
        await front.instances.get(launch)
    assert str(caught.value) == unsupported(mode)
    assert unsupported("python-api") is None
    assert front.instances.jobs() == ()


def test_a_later_server_sweeps_up_what_an_earlier_one_left(tmp_path):
    data = tmp_path / "data"
    mark = {"CONNECT_TASKS_EMULATOR_DATA": str(data / "below"), "PATH": ""}
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=mark)
    neighbour = {"CONNECT_TASKS_EMULATOR_DATA": str(tmp_path / "data2"), "PATH": ""}
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=neighbour)
    Instances.sweep(data)
    assert orphan.wait(30) == -9
    assert other.poll() is None
    other.kill()
    other.wait()


async def test_a_log_is_cut_before_it_fills_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(job_logs, "LARGEST", 10_000)
    log = job_logs.JobLog(tmp_path / "jobs/a.log")
    for number in range(1000):
        log.write("stdout", [str(number)])
    log.close()
    kept = read_log(log.path)
    assert kept[-1]["data"] == "999"
    assert 100 < len(kept) < 400
    assert [int(entry["data"]) for entry in kept] == list(range(1000 - len(kept), 1000))
    assert job_logs.tail(log.path, 2) == "998\n999"
    assert read_log(tmp_path / "none.log") == []


async def test_a_flood_waits_while_others_work(tmp_path):
    stream = asyncio.StreamReader()
    stream.feed_data(b"y\n" * 50_000)
    stream.feed_eof()
    log = job_logs.JobLog(tmp_path / "a.log")
    flood = asyncio.create_task(log.follow("stdout", stream))
    turns = 0
    while not flood.done():
        await asyncio.sleep(0)
        turns += 1
    log.close()
    assert turns > 20 * (100_000 / processes.CHUNK), "else each of its chunks comes after one turn of ours"
    assert len(read_log(log.path, 10**6)) == 50_000


async def test_an_app_that_floods_its_log_does_not_starve_the_others(front, build, bundle, app):
    flood = bundle(
        {
            "app.py": """
        import sys, threading
        def flood():
            while True:
                sys.stdout.write("y\\n" * 5000)
        threading.Thread(target=flood, daemon=True).start()
        def app(environ, start_response):
            start_response("200 OK", [])
            return [b"flooding"]
        """
        },
        "flood",
    )
    environment = await build()
    noisy = front.mount(flood, environment, guid="noisy")
    await front.instances.get(noisy)
    quiet = front.mount(app, environment)
    for _ in range(20):
        assert (await front.get(quiet))[0] == 200
    assert await front.get(noisy) == (200, "flooding")
