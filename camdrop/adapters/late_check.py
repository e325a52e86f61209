"""Whether targets on a GPU are classes: found out when the GPU gets there, so that nothing waits for it."""

from __future__ import annotations

import torch
from torch import Tensor

from camdrop.cam import check_range


class LateCheck:
    """The range of targets (N,) on a CUDA device, on its way to the CPU; they must lie in 0 to K − 1."""

    def __init__(self, targets: Tensor, classes: int) -> None:
        self._range = torch.stack(targets.aminmax()).to("cpu", non_blocking=True)
        self._classes, self._arrived = classes, torch.cuda.Event()
        self._arrived.record(torch.cuda.current_stream(targets.device))

    def done(self, wait: bool = False) -> bool:
        """Whether the range has arrived; `wait` until it has. ValueError where it was wrong."""
        if wait:
            self._arrived.synchronize()
        if not self._arrived.query():
            return False
        check_range(self._range.tolist(), self._classes)
        return True
