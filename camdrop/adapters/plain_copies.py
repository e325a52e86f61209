"""Copies of a hooked module without the hooks: works around nn.Module, which copies and pickles its hooks too.

Nothing public leaves some hooks out of a copy. So a module says by itself what it is reduced to, for `copy` and
`pickle` alike, as long as the hooks are there. Where PyTorch keeps its hooks under other names, copies have them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, cast

from torch import nn

_TABLES = (
    *("_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called"),
    *("_forward_pre_hooks", "_forward_pre_hooks_with_kwargs"),
)


def leave_out(module: nn.Module, hooks: Collection[int]) -> Callable[[], None]:
    """Let copies of a module, deep or pickled, go without the hooks of these ids (`RemovableHandle.id`).

    What it returns ends this.
    """
    ours: dict[str, Callable] = {}

    def plain(part: Any) -> Any:
        """A module's dictionary without what is ours; anything else as it is."""
        if not isinstance(part, dict) or "_parameters" not in part:
            return part
        kept = {name: value for name, value in part.items() if value is not ours.get(name, part)}
        for table in _TABLES:
            if isinstance(hooked := kept.get(table), dict):
                kept[table] = type(hooked)((id_, hook) for id_, hook in hooked.items() if id_ not in hooks)
        return kept

    def reduced(protocol: int) -> Any:
        parts = reduce(protocol)
        if not isinstance(parts, tuple):
            return parts
        make, arguments, *rest = parts
        return make, tuple(map(plain, arguments)), *map(plain, rest)

    def copied(memo: dict) -> nn.Module:
        twin = module_copy(memo)
        kept = plain(vars(twin))
        vars(twin).clear()
        vars(twin).update(kept)
        return twin

    reduce, module_copy = module.__reduce_ex__, cast(Callable, getattr(module, "__deepcopy__", None))
    ours["__reduce_ex__"] = reduced
    if module_copy is not None:  # as torch.fx.GraphModule has it
        ours["__deepcopy__"] = copied
    before = {name: vars(module)[name] for name in ours if name in vars(module)}
    vars(module).update(ours)

    def end() -> None:
        for name in ours:
            vars(module).pop(name, None)
        vars(module).update(before)

    return end
