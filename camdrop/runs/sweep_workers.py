"""Train the cells of a sweep, many at a time: one process a core, or over a cluster by Ray.

Each cell is a race of one contender, with the same initial weights, batches and crops as all other cells. On a CPU
core, eight cells as one race in lockstep took 0.99 times as long as eight races, and stacked by `torch.func.vmap` 1.7
times (bench/sweep.py). So workers get single cells, and a crash loses one cell a worker.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import torch

from camdrop.data import Dataset, load_dataset
from camdrop.data.folders import Progress
from camdrop.runs.folder import RunError, locked
from camdrop.runs.stopping import StopAsked, Stopped, forget_stop, stop_requests, stoppable
from camdrop.runs.sweep import Cell, Plan, Sweep, append, create, load_sweep, mend, set_state
from camdrop.training import Race, evaluate
from camdrop.training.config import Contender

ENGINES = ("processes", "ray")
_CHECK = 10  # steps between looks at the loss, and at whether to stop

Listener = Callable[[Cell], None]


def run_sweep(
    folder: Path,
    plan: Plan | None = None,
    *,
    resume: bool = False,
    engine: str = "processes",
    workers: int | None = None,
    progress: Progress | None = None,
    listen: Listener | None = None,
) -> Sweep:
    """Train the cells that `folder` lacks, until all are there or it is stopped (sweep.stop, SIGTERM, SIGINT).

    Returns the sweep. With `plan`, the folder is made first. `workers` is how many cells train at once, by default one
    a core. RunError if another process uses the folder or it already holds a sweep; ValueError for a wrong plan.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    if plan is not None:
        create(folder, plan)
    sweep = load_sweep(folder)
    if sweep.cells and not resume:
        raise RunError(f"{folder} holds a sweep already; continue it with --resume, or name another folder")
    with locked(folder):
        if sweep.state != "running":  # nobody launched this process who could have been asked since
            forget_stop(folder)
        mend(folder)
        try:
            _run(sweep, engine, workers or os.cpu_count() or 1, progress, listen)
        except Exception as error:
            set_state(folder, "failed", str(error) if isinstance(error, ValueError) else repr(error))
            raise
    return load_sweep(folder)


def _run(sweep: Sweep, engine: str, workers: int, progress: Progress | None, listen: Listener | None) -> None:
    folder, plan = sweep.folder, sweep.plan
    spent = sum(cell.seconds for cell in sweep.cells.values()) / workers
    with stop_requests(folder, spent) as stopped:
        set_state(folder, "running", "reading the data", os.getpid())
        cells = plan.cells
        todo = [cell for cell in cells if cell not in sweep.cells or sweep.cells[cell].state == "failed"]
        if todo:
            try:  # errors and a download happen here, once, and not in every worker
                prepare(plan, stoppable(progress, stopped))
            except StopAsked as asked:
                set_state(folder, "stopped", str(asked))
                return
        set_state(folder, "running", "", os.getpid())
        train = by_processes if engine == "processes" else by_ray
        for cell in () if stopped() is not None else train(plan, todo, min(workers, max(1, len(todo))), stopped):
            append(folder, cell)
            if listen:
                listen(cell)
        ended = all(cell in load_sweep(folder).cells for cell in cells)
        set_state(folder, "finished") if ended else set_state(folder, "stopped", stopped() or "")


def prepare(plan: Plan, progress: Progress | None = None) -> Dataset:
    """The data set of the plan, cut to the plan's number of training images."""
    data = load_dataset(plan.data, splits=("train",), progress=progress)
    if plan.images is None or plan.images >= len(data.train):
        return data
    some = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(plan.recipe.seed))[: plan.images]
    return Dataset(data.info, data.train.pick(some), data.test)


def train_cell(plan: Plan, data: Dataset, rate: float, keep_prob: float, stopped: Callable[[], bool]) -> Cell | None:
    """Train one cell and measure its errors; None if it was stopped. An exception becomes a failed cell."""
    begin = time.perf_counter()
    try:
        race = Race(data, plan.recipe, [Contender("cell", plan.mask(keep_prob))], torch.device("cpu"))
        (runner,) = race.runners
        runner.knobs["learning_rate"] = rate
        while not race.finished:
            race.step()
            if race.done % _CHECK == 0 or race.finished:
                runner.end_if_diverged(runner.pop_metrics(race.progress))
                if stopped():
                    return None
        known = race.train.pick(torch.arange(min(len(race.held), len(race.train))))
        train, held = (evaluate(runner.model, s, race.info)["top1_error"] for s in (known, race.held))
    except Exception as error:
        return Cell(rate, keep_prob, "failed", message=f"{type(error).__name__}: {error}")
    state, message = ("diverged", runner.ended) if runner.ended else ("done", "")
    return Cell(rate, keep_prob, state, train, held, race.done, time.perf_counter() - begin, message)


def by_processes(plan: Plan, todo: list[tuple[float, float]], workers: int, stopped: Stopped) -> Iterator[Cell]:
    """Train cells in processes of one thread each, and yield each cell when it is finished."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    with ProcessPoolExecutor(workers, context, _begin, (plan, stop)) as pool:
        waiting = {pool.submit(_work, *cell) for cell in todo}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                yield from (cell for future in done if (cell := future.result()))
                if stopped() is not None:
                    stop.set()
        except BrokenProcessPool:
            raise RunError(
                "a process of the sweep was killed, perhaps for want of memory; resume it to go on"
            ) from None
        finally:
            stop.set()


_worker: dict[str, Any] = {}  # what a worker process trains with


def _begin(plan: Plan, stop: Any) -> None:
    """Prepare a worker process: it ends with its parent, however that ends, and ignores the signals to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _worker.update(plan=plan, data=prepare(plan), stop=stop)


def _work(rate: float, keep_prob: float) -> Cell | None:
    stop = _worker["stop"]
    return None if stop.is_set() else train_cell(_worker["plan"], _worker["data"], rate, keep_prob, stop.is_set)


def by_ray(plan: Plan, todo: list[tuple[float, float]], workers: int, stopped: Stopped) -> Iterator[Cell]:
    """Train cells over the cluster of $RAY_ADDRESS, or with `workers` of a local Ray. ValueError without Ray."""
    try:
        import ray
    except ImportError:
        raise ValueError("--engine ray needs Ray: run pip install '.[ray]', or take --engine processes") from None
    address = os.environ.get("RAY_ADDRESS")
    ray.init(address=address, num_cpus=None if address else workers, log_to_driver=False, include_dashboard=False)
    try:
        data = ray.put(prepare(plan))

        @ray.remote(num_cpus=1)
        def work(data: Dataset, rate: float, keep_prob: float) -> Cell | None:
            torch.set_num_threads(1)
            return train_cell(plan, data, rate, keep_prob, lambda: False)

        waiting = [work.remote(data, *cell) for cell in todo]
        while waiting and stopped() is None:
            done, waiting = ray.wait(waiting, timeout=0.5)
            yield from ray.get(done)
    finally:
        ray.shutdown()
