"""CamDrop in other people's networks and training loops: forward hooks for as long as a `with` block lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from camdrop.adapters.inspection import Inspection, Place, inspect, unwrapped
from camdrop.adapters.late_check import LateCheck
from camdrop.adapters.plain_copies import leave_out
from camdrop.cam import check_range, class_numbers
from camdrop.masks import CamDrop, DropPath, Mask, Method
from camdrop.resnet import DropSite, ResNet, evaluation_mode
from camdrop.sampling import SampleMasks, default_sites, guiding_classes

_FULLGRAPH = (
    "torch.compile(…, fullgraph=True) leaves no room for masks, which are drawn outside of the graph: compile the "
    "network without fullgraph"
)


class Guide:
    """What `attach` gives: it hands the targets of a forward pass to its masks, and keeps these.

    `method` may be replaced between steps, as a schedule of γ does; `sites` are the names where masks may act. A mask
    acts at a site whose own module is in training mode, whatever the others are.
    """

    def __init__(
        self,
        model: nn.Module,
        classifier: str,
        method: Method,
        sites: Mapping[str, nn.Module],
        generator: torch.Generator | None,
    ) -> None:
        self.method, self.sites = method, frozenset(sites)
        self._model, self._modules, self._generator = model, sites, generator
        self._classifier = cast(nn.Linear, model.get_submodule(classifier))
        self._targets: Tensor | None = None
        self._checks: list[LateCheck] = []  # of targets that a GPU has not looked at yet
        self._running: SampleMasks | None = None  # the forward pass under way
        self._last: SampleMasks | None = None
        self._backward: SampleMasks | None = None  # the forward pass whose backward pass is under way
        # No decorators: they would load the compiler, which takes seconds, whenever a checkpoint is read.
        self._on_begin = torch.compiler.disable(self._begin)
        self._on_features = torch.compiler.disable(self._drop)
        self._on_end = torch.compiler.disable(self._end)

    @property
    def masks(self) -> dict[str, Mask]:
        """The masks of the latest forward pass, by site; `mask.dropped` is the share dropped."""
        return {} if self._last is None or self._last.record is None else self._last.record

    @contextlib.contextmanager
    def targets(self, y: Tensor) -> Iterator[None]:
        """The true classes (N,), of any integer type, of the images that go through the network in this block.

        Every forward pass in it draws its own masks. The backward pass may come after it, also with gradient
        checkpointing, whose second forward pass gets the masks of the first. ValueError for other targets, and where
        a part of the network is in training mode but the block masked nothing. Where the true class guides, also for
        targets that are no classes: at once on the CPU; on a GPU, which is not waited for, in one of the next steps.
        """
        before, self._targets, self._last = self._targets, self._classes(y), None
        try:
            with _whole_graphs_refused():
                yield
            if not self.masks and any(module.training for module in self._model.modules()):
                raise ValueError(self._why_none())
            self._check()
        finally:
            self._targets = before

    def _classes(self, y: Tensor) -> Tensor:
        classes, count = class_numbers(y), len(self._classifier.weight)
        if self._by_true_class() and len(classes):
            if classes.device.type == "cpu":
                check_range(map(int, classes.aminmax()), count)
            elif classes.is_cuda and not torch.cuda.is_current_stream_capturing():
                self._check()
                self._checks.append(LateCheck(classes, count))
                return classes.clamp(0, count - 1)  # until then: a GPU can do nothing more after a wrong index
        return classes

    def _check(self, wait: bool = False) -> None:
        self._checks = [check for check in self._checks if not check.done(wait)]

    def _by_true_class(self) -> bool:
        return isinstance(self.method, CamDrop) and self.method.guided_by_class and self.method.label == "true"

    def _active(self) -> frozenset[str]:
        return frozenset(name for name, module in self._modules.items() if module.training)

    def _why_none(self) -> str:
        if self._active():
            return "no mask was drawn within targets(…): call the network itself there, model(x)"
        first = min(self.sites)
        return (
            f"no mask was drawn: a part of the network is in training mode, but no drop site ({first} …) is; call "
            "train() on them, choose other sites, or leave targets(…) out"
        )

    def _begin(self, model: nn.Module, args: tuple, kwargs: dict) -> None:
        """A forward pass starts, or the whole of one is computed again in a backward pass."""
        if _in_backward():
            return
        self._running = self._backward = None
        if active := self._active():
            weight = self._classifier.weight
            images = next((len(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)), 0)
            classes = guiding_classes(
                self.method, self._targets, lambda: self._predict(args, kwargs), images, weight, self._generator
            )
            if not isinstance(self.method, CamDrop) or not self.method.guided_by_class:
                classes = None
            elif classes is None:
                raise ValueError("no targets for the masks: use `with guide.targets(y): model(x)`, or model.eval()")
            self._running = SampleMasks(self.method, weight, classes, active, self._generator, {})
            self._last = self._running

    def _predict(self, args: tuple, kwargs: dict) -> Tensor:
        """The scores (N, K) of a forward pass of its own, in evaluation mode, where no mask acts."""
        scores: list[Tensor] = []
        handle = self._classifier.register_forward_hook(lambda module, inputs, out: scores.append(out))
        try:
            with evaluation_mode(self._model):
                self._model(*args, **kwargs)
        finally:
            handle.remove()
        return scores[-1]

    def _end(self, out: object) -> None:
        """A forward pass ended; its backward pass will start at its outputs."""
        done, self._running = self._running, None
        if done is not None:
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor) and leaf.requires_grad:
                    leaf.register_hook(lambda grad: setattr(self, "_backward", done))

    def _drop(self, site: DropSite, features: Tensor, rectify: bool = False) -> Tensor:
        if self._running is None:
            again = (self._backward or self._last) if _in_backward() else None
            mask = None if again is None or again.record is None else again.record.get(site.name)
            return features if mask is None else mask.apply(F.relu(features) if rectify else features)
        if site.name not in self._running.sites:
            return features
        return self._running(site, F.relu(features) if rectify else features)


def _in_backward() -> bool:
    return torch._C._current_graph_task_id() != -1  # as torch.utils.checkpoint knows it


@contextlib.contextmanager
def attach(
    model: nn.Module,
    method: Method,
    *,
    sites: str | Sequence[str] | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[Guide]:
    """Let a network drop by `method` (Eq. 2–10) while it trains, in a loop that is not ours.

        with attach(model, CamDrop(block_size=7)) as guide:
            for x, y in loader:
                with guide.targets(y):
                    loss = F.cross_entropy(model(x), y)
                …

    Only masks that the true class guides need the targets: with `CamDrop(label="predicted")` or `"random"`, and with
    the other methods, `model(x)` by itself will do.

    Any CNN that ends in global average pooling and one nn.Linear (Eq. 1), also inside DistributedDataParallel or
    torch.compile, under autocast and with gradient checkpointing. A mask acts where its site's module is in training
    mode. Copies made meanwhile, as averages of the weights and `torch.save(model)` are, are plain networks. When the
    block ends, however it ends, the network is as it was.

    Args:
        model: the network; it and the images may lie on any one device.
        method: one of `camdrop.masks`.
        sites: names or patterns (`layer4.*.conv2`) of `camdrop.drop_sites(model)`. By default all of the last two
            stages; in our own ResNets those of the paper.
        generator: of the masks, on the images' device; None is PyTorch's own.

    Where C′ classifier weights meet a site of C channels, ⌊C′/C⌋ neighbours are summed (Eq. 7), and the last
    C′ mod C·⌊C′/C⌋ weights have no part: of EfficientNet-B0's 1280, 112 channels leave 48 out, 672 leave 608.

    Raises:
        ValueError: a network that lacks a part, DataParallel, or torch.compile with `fullgraph`; patterns that name no
            site; DropPath without `sites`.
    """
    if isinstance(model, nn.DataParallel):
        raise ValueError("DataParallel splits a batch, but not its targets: use DistributedDataParallel")
    if any(getattr(getattr(module, "dynamo_ctx", None), "fullgraph", False) for module in model.modules()):
        raise ValueError(_FULLGRAPH)
    inner = unwrapped(model)
    if isinstance(inner, ResNet):
        chosen = _choose(sites, inner, inner.drop_sites, default_sites(inner, method))
        modules = {site.name: inner.get_submodule(site.block) for site in inner.drop_sites if site.name in chosen}
        guide = Guide(inner, "fc", method, modules, generator)
        hooked = _own_hooks(inner, guide)
    else:
        inspection = inspect(inner)
        if sites is None and isinstance(method, DropPath):
            raise ValueError("DropPath needs sites: the last convolutions of residual branches, as '*.conv2'")
        late = frozenset(place.site.name for place in inspection.places if place.late)
        chosen = _choose(sites, inner, [place.site for place in inspection.places], late)
        guide = Guide(inner, inspection.classifier, method, {n: inner.get_submodule(n) for n in chosen}, generator)
        hooked = _foreign_hooks(inner, inspection, guide)
    with contextlib.ExitStack() as stack:
        for module, handles in hooked.items():
            for handle in handles:
                stack.callback(handle.remove)
            stack.callback(leave_out(module, {handle.id for handle in handles}))
        if _compiled(model):  # what was compiled before knows of no hooks, and what is compiled now knows of them
            torch.compiler.reset()
            stack.callback(torch.compiler.reset)
        with _whole_graphs_refused():
            yield guide
        guide._check(wait=True)


@contextlib.contextmanager
def _whole_graphs_refused() -> Iterator[None]:
    """PyTorch's error about a break in a graph that must have none, in a sentence."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.startswith("torch._dynamo") and type(error).__name__ == "Unsupported":
            raise ValueError(_FULLGRAPH) from error
        raise


def _choose(
    patterns: str | Sequence[str] | None, model: nn.Module, sites: Sequence[DropSite], default: frozenset[str]
) -> frozenset[str]:
    names = [site.name for site in sites]
    asked = [patterns] if isinstance(patterns, str) else patterns
    chosen = default if asked is None else frozenset(n for n in names if any(fnmatchcase(n, a) for a in asked))
    if not chosen:
        where = "its last two stages" if asked is None else ", ".join(asked)
        known = f"those there are: {', '.join(names[:8])}{' …' if len(names) > 8 else ''}" if names else "it has none"
        raise ValueError(f"{type(model).__name__} has no drop site in {where}; {known}")
    return chosen


_Hooked = dict[nn.Module, list[RemovableHandle]]


def _own_hooks(model: ResNet, guide: Guide) -> _Hooked:
    def begin(module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        guide._on_begin(module, args, kwargs)
        if len(args) > 1 or kwargs.get("drop") is not None:
            raise ValueError("an attached network gets its masks from the guide: call model(x) without drop")
        return args, kwargs | {"drop": guide._on_features}

    return {model: [model.register_forward_pre_hook(begin, with_kwargs=True), _end_hook(model, guide)]}


def _foreign_hooks(model: nn.Module, inspection: Inspection, guide: Guide) -> _Hooked:
    def masking(place: Place) -> Callable[[nn.Module, tuple, Tensor], Tensor]:
        return lambda module, args, out: guide._on_features(place.site, out, place.rectify)

    hooked: _Hooked = {model: [model.register_forward_pre_hook(guide._on_begin, with_kwargs=True)]}
    for place in inspection.places:
        if place.site.name in guide.sites:
            module = model.get_submodule(place.module)
            hooked.setdefault(module, []).append(module.register_forward_hook(masking(place)))
    hooked[model].append(_end_hook(model, guide))
    return hooked


def _end_hook(model: nn.Module, guide: Guide) -> RemovableHandle:
    return model.register_forward_hook(lambda module, args, out: guide._on_end(out), always_call=True)


def _compiled(model: nn.Module) -> bool:
    return any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())
