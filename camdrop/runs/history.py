"""The heatmap history of a run: the images of probes.npz, and their heatmaps, a file an epoch in film/."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from camdrop.runs.folder import RunError

Array = npt.NDArray[np.generic]


def frame_files(folder: Path) -> dict[int, Path]:
    """The files of heatmaps of a run by their steps, in their order; those of other names are none."""
    found = (path for path in (folder / "film").glob("*.npz") if path.stem.isdecimal() and path.stem.isascii())
    return {int(path.stem): path for path in sorted(found)}


def read_frame(path: Path) -> dict[str, Array]:
    """Heatmaps by contender, each (probes, h, w). RunError where the file is damaged, or holds something else."""
    maps = _arrays(path)
    if not all(one.ndim == 3 and one.size and one.dtype.kind == "f" for one in maps.values()):
        raise _damaged(path)
    return maps


def read_probes(folder: Path) -> Array:
    """The images of the history, uint8 (n, C, H, W), C 1 or 3. RunError where the file is missing or damaged."""
    path = folder / "probes.npz"
    images = _arrays(path).get("images", np.empty(0))
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3) or not images.size:
        raise _damaged(path)
    return images


def read_heatmap_history(folder: Path) -> dict[int, dict[str, Array]]:
    """Heatmaps by step and contender, each (probes, h, w). RunError for a damaged file."""
    return {step: read_frame(path) for step, path in frame_files(folder).items()}


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the heatmap history cannot be shown") from None
    except Exception:  # for a damaged file NumPy's reader raises almost any exception
        raise _damaged(path) from None


def _damaged(path: Path) -> RunError:
    return RunError(f"{path} is damaged; delete it")
