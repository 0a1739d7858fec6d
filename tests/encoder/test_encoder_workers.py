"""Segments fitted by several processes or a Ray cluster: the file is the same, even if a worker dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest
from codec_samples import TWO_SEGMENTS, moving_gradient, write_clip
from command_line import environment

import inrcodec
from inrcodec.cli.main import run
from inrcodec.encoder.workers import local as local_workers
from inrcodec.encoder.workers import ray as ray_workers
from inrcodec.encoder.workers.job import portable
from inrcodec.encoder.workers.local import LocalWorkers
from inrcodec.errors import InrcError, UsageError
from inrcodec.plan.cuts import share_of_time
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import parse_workers
from inrcodec.system.outputs import output_paths

ASKED = [*TWO_SEGMENTS, "--checkpoint", "0.02s"]
SETTINGS = EncodeSettings(model="hnerv", size_bytes=9000, segment=6, epochs=8, device="cpu")
PATIENCE_SECONDS = 240

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc"),
]


@contextmanager
def started(*words: str | Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program in its own process group, as a terminal does, and kill it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**more),
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def encode(clip: Path, output: Path, *more: str) -> tuple[str | Path, ...]:
    return ("inrcodec", "encode", clip, "-o", output, *ASKED, *more)


def parents() -> dict[int, int]:
    """The parent of every process on the machine, by process id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # The process has ended meanwhile.
    return found


def descendants(process: int) -> set[int]:
    """Running processes that a process started, directly or indirectly."""
    every, found = parents(), {process}
    while more := {child for child, parent in every.items() if parent in found} - found:
        found |= more
    return found - {process}


def command_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def waited_for(what: Callable[[], Any]) -> Any:
    """The first true value that the function returns; fails after `PATIENCE_SECONDS`."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return found


def are_gone(processes: set[int]) -> bool:
    return not any(command_of(process) for process in processes)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(48, 32, 12))


@pytest.fixture(scope="module")
def alone(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file that a single process makes."""
    output = tmp_path_factory.mktemp("alone") / "a.inrv"
    inrcodec.encode(str(clip), str(output), SETTINGS)
    return output.read_bytes()


def test_a_worker_that_is_killed_is_replaced(clip: Path, alone: bytes, tmp_path: Path) -> None:
    output = tmp_path / "a.inrv"
    with started(*encode(clip, output, "--workers", "local:2")) as process:
        waited_for((tmp_path / "a.inrv.resume" / "segment-1.fit").exists)
        workers = [one for one in descendants(process.pid) if "spawn_main" in command_of(one)]
        assert len(workers) == 2
        # The second worker has just saved a checkpoint; the first may have finished its segment.
        os.kill(max(workers), signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert said.count("died (signal 9): another one takes over") == 1
    assert output.read_bytes() == alone
    assert os.listdir(tmp_path) == ["a.inrv"]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_an_interrupt_ends_the_workers_and_their_fits_go_on(
    clip: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    output, alone, longer = tmp_path / "a.inrv", tmp_path / "alone.inrv", replace(SETTINGS, epochs=60)
    with started(*encode(clip, output, "--epochs", "60", "--workers", "local:2")) as process:
        folder = tmp_path / "a.inrv.resume"
        waited_for(lambda: (folder / "segment-0.fit").exists() and (folder / "segment-1.fit").exists())
        family = descendants(process.pid)
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith("--workers local:2")
    assert len(family) >= 2
    waited_for(lambda: are_gone(family))
    # The file does not depend on workers, so an encode without them resumes.
    notes = Notes()
    inrcodec.encode(str(clip), str(output), longer, notes)
    assert any("resuming" in note for note in notes.notes)
    inrcodec.encode(str(clip), str(alone), longer)
    assert output.read_bytes() == alone.read_bytes()


class Notes(Silent):
    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(clip: Path, tmp_path: Path) -> None:
    with started(*encode(clip, tmp_path / "a.inrv", "--workers", "local:2", "--epochs", "4000")) as process:
        waited_for((tmp_path / "a.inrv.resume" / "segment-1.fit").exists)
        family = descendants(process.pid)
        process.kill()
        waited_for(lambda: are_gone(family))


def test_what_a_worker_cannot_do_is_told_and_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    short = ["--model", "hnerv", "--size", "9k", "--segment", "6", "--time", "1s", "-q"]
    words = ("inrcodec", "encode", clip, "-o", tmp_path / "a.inrv", *short)
    with started(*words, "--workers", "local:2") as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3
    assert said.startswith("inrc: error: --time is too short")
    assert said.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_several_sources_share_the_workers_and_fail_alone(
    clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = write_clip(tmp_path / "other.mp4", 255 - moving_gradient(48, 32, 6))
    wrong = tmp_path / "wrong.mp4"
    wrong.write_text("no video")
    folder = tmp_path / "out"
    asked = [*ASKED, "--epochs", "2"]
    words = ("inrcodec", "encode", wrong, clip, other, "-o", f"{folder}/", *asked, "--json")
    with started(*words, "--workers", "local:2") as process:
        printed, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert said.count(f"inrc: error: {wrong}: ") == 1
    for name, source in (("clip", clip), ("other", other)):
        inrcodec.encode(str(source), str(tmp_path / f"{name}.inrv"), replace(SETTINGS, epochs=2))
        assert (folder / f"{name}.inrv").read_bytes() == (tmp_path / f"{name}.inrv").read_bytes()
    assert sorted(os.listdir(folder)) == ["clip.inrv", "other.inrv"]
    first, second, third = json.loads(printed)["files"]
    assert (first["source"], first["exit_code"]) == (str(wrong), 1)
    assert second["result"]["segments"] == 2
    assert third["output"] == str(folder / "other.inrv")
    # Existing outputs are kept.
    assert run(["encode", str(clip), str(other), "-o", str(folder), *asked]) == 0
    assert capfd.readouterr().err.count("exists already") == 2


LOCKED = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(32).hex()}
"""Keeps others out of a test's cluster, and its token out of the home folder."""


@pytest.fixture
def ray_folder() -> Iterator[dict[str, str]]:
    """Variables that keep all files of Ray in a folder, whose path is short because it holds sockets."""
    pytest.importorskip("ray")
    with TemporaryDirectory(prefix="r", dir="/tmp") as folder:
        yield {**LOCKED, "RAY_TMPDIR": folder}


@contextmanager
def ray_cluster(variables: dict[str, str]) -> Iterator[tuple[int, str]]:
    """A cluster of one node for two tasks: its process id, and the address for clients."""
    port, client_port = free_ports(2)
    options = ["--num-cpus=2", f"--port={port}", f"--ray-client-server-port={client_port}"]
    quiet = ["--include-dashboard=false", "--disable-usage-stats"]
    words = ("ray.scripts.scripts", "start", "--head", "--block", *options, *quiet)
    with started(*words, **variables, PYTHONWARNINGS="") as cluster:
        try:
            waited_for(lambda: is_listening(client_port))
            yield cluster.pid, f"ray://127.0.0.1:{client_port}"
        finally:
            cluster.terminate()
            cluster.wait(PATIENCE_SECONDS)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_ray_task_that_is_killed_is_retried(clip: Path, tmp_path: Path, ray_folder: dict[str, str]) -> None:
    output, alone = tmp_path / "a.inrv", tmp_path / "alone.inrv"
    inrcodec.encode(str(clip), str(alone), replace(SETTINGS, epochs=25))
    words = encode(clip, output, "--epochs", "25")
    with (
        ray_cluster(ray_folder) as (cluster, address),
        started(*words, "--workers", address, **ray_folder) as process,
    ):
        # Each process loads torch first, so on a busy machine one may end before the other begins.
        waited_for(lambda: running_tasks(cluster) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        (task, *_) = running_tasks(cluster)
        # Wait until the task is in the middle of its fit.
        waited_for(lambda: "libtorch_cpu" in Path(f"/proc/{task}/maps").read_text())
        before = cpu_seconds(task)
        waited_for(lambda: cpu_seconds(task) > before + 1.0)
        assert task in running_tasks(cluster)
        os.kill(task, signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert output.read_bytes() == alone.read_bytes()


def running_tasks(cluster: int) -> list[int]:
    """Ids of the processes in which Ray fits segments."""
    return [one for one in descendants(cluster) if "ray::code_segment_task" in command_of(one)]


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_a_ray_cluster_of_its_own_ends_with_the_encode(
    clip: Path, tmp_path: Path, ray_folder: dict[str, str]
) -> None:
    words = encode(clip, tmp_path / "a.inrv", "--workers", "ray", "--epochs", "4000")
    with started(*words, **ray_folder) as process:
        waited_for(lambda: running_tasks(process.pid))
        family = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143
    assert said.splitlines()[-1] == "inrc: error: terminated, nothing was written"
    assert len(family) > 4
    waited_for(lambda: are_gone(family))


def test_workers_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [parse_workers(text) for text in ("local:1", "ray", "ray://head:10001")]
    for text in ("local", "local:0", "local:two", "ray:", "ray://", "ray://head", "dask"):
        with pytest.raises(ValueError, match="does not name workers"):
            parse_workers(text)
        with pytest.raises(UsageError, match="workers"):
            EncodeSettings(workers=text)
    monkeypatch.setattr("inrcodec.settings.encode.find_spec", lambda name: None)
    EncodeSettings(workers="local:2")
    with pytest.raises(UsageError, match=r"pip install 'inrc\[ray\]'"):
        EncodeSettings(workers="ray")


def test_a_cluster_that_is_not_there_is_one_line(clip: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    words = encode(clip, tmp_path / "a.inrv", "--workers", "ray://127.0.0.1:9")
    with started(*words) as process:
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert said.startswith("inrc: error: no Ray cluster ray://127.0.0.1:9")
    assert said.count("\n") == 1


class Cluster:
    """A stand-in for the module `ray` whose client server fails `failures` times."""

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0

    def init(self, *words: object, **options: object) -> None:
        self.asked += 1
        if self.asked <= self.failures:
            raise ConnectionAbortedError("Starting Ray client server failed.")

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def shutdown(self) -> None:
        pass


def test_a_cluster_whose_server_fails_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for failures, asked in ((0, 1), (2, 3)):
        cluster = Cluster(failures)
        monkeypatch.setattr(ray_workers, "_ray", lambda cluster=cluster: cluster)
        with ray_workers.RayWorkers(None, "auto", 1) as workers:
            assert workers.count == 2
        assert cluster.asked == asked
    cluster = Cluster(3)
    monkeypatch.setattr(ray_workers, "_ray", lambda: cluster)
    with pytest.raises(InrcError, match="no Ray cluster"), ray_workers.RayWorkers(None, "auto", 1):
        pass
    assert cluster.asked == 3


class Deadly:
    """A job that kills the process that unpickles it."""

    key = (0, 4)

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (7,)


def test_a_segment_that_kills_every_worker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_workers, "MOST_ATTEMPTS", 2)
    notes = Notes()

    with LocalWorkers(2, ("cpu",), 1, "cpu") as workers:
        ((key, outcome),) = workers.run([cast(Any, Deadly())], lambda key: notes)
    assert key == Deadly.key
    assert isinstance(outcome, InrcError)
    assert str(outcome).startswith("segment 5: its worker died 2 times, last with exit code 7")
    assert notes.notes == ["the worker of segment 5 died (exit code 7): another one takes over"]


def test_time_is_shared_so_that_workers_are_busy_to_the_end() -> None:
    def spent(lengths: list[int], worker_count: int) -> list[float]:
        """When each worker finishes its last segment, as a fraction of the whole time."""
        ends = [0.0] * worker_count
        for number in range(len(lengths)):
            worker = int(np.argmin(ends))
            ends[worker] += (1 - ends[worker]) * share_of_time(lengths[number:], worker_count)
        return ends

    assert spent([6, 6, 6, 2], 1) == pytest.approx([1])
    assert share_of_time([6, 6, 6, 2], 1) == 0.3
    for count in (2, 3, 4, 7):
        assert spent([6] * count, 2) == pytest.approx([1, 1])
        assert spent([6] * count, count) == pytest.approx([1] * count)


def test_errors_survive_the_way_to_another_process() -> None:
    class Strange(Exception):
        def __init__(self, first: str, second: str) -> None:
            super().__init__(f"{first} and {second}")

    kept, said = portable(UsageError("this")), portable(Strange("this", "that"))
    assert isinstance(kept, UsageError) and str(kept) == "this"
    assert isinstance(said, InrcError) and "this and that" in str(said)


def test_outputs_of_several_sources_have_their_names(tmp_path: Path) -> None:
    folder = f"{tmp_path}/out/"
    assert output_paths(["a.mp4"], "b.inrv") == ["b.inrv"]
    assert output_paths(["x/a.mp4", "b.c.mkv"], folder) == [f"{folder}a.inrv", f"{folder}b.c.inrv"]
    assert os.path.isdir(folder)
    assert output_paths(["x/a.mp4"], folder[:-1]) == [f"{folder}a.inrv"]
    assert output_paths(["shots/%05d.png", "b-%03d.png"], folder) == [
        f"{folder}shots.inrv",
        f"{folder}b.inrv",
    ]
    with pytest.raises(UsageError, match="2 sources need a folder"):
        output_paths(["a.mp4", "b.mp4"], "c.inrv")
    with pytest.raises(UsageError, match=r"x/a.mp4 and y/a.mov would both be .*a.inrv"):
        output_paths(["x/a.mp4", "y/a.mov"], folder)
    with pytest.raises(UsageError, match="does not exist"):
        output_paths(["a.mp4"], f"{tmp_path}/not/there/")


def test_two_processes_on_a_gpu_make_the_file_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands for the GPU that both share."""
    clip = write_clip(tmp_path / "clip.mp4", moving_gradient(16, 16, 4))
    settings = EncodeSettings(model="inrc", size_bytes=3000, segment=2, epochs=0.25, device="cpu")
    inrcodec.encode(clip, tmp_path / "one.inrv", settings)
    monkeypatch.setattr("inrcodec.encoder.workers.choice.is_shared", lambda settings, device: True)
    inrcodec.encode(clip, tmp_path / "two.inrv", replace(settings, workers="auto"))
    assert (tmp_path / "one.inrv").read_bytes() == (tmp_path / "two.inrv").read_bytes()
