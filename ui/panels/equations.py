"""The equations behind the panels, with the live numbers in them: trusted HTML with MathML."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence

from latex2mathml.converter import convert

from camdrop.analysis.mask_steps import Dissection
from camdrop.masks import CamDrop, DropBlock
from ui.components.pictures import Along, Text
from ui.panels.shown import Shown

_SLOT = "90071992547409"  # a number in LaTeX that stands for the n-th of some texts: n, two digits, follows it


@functools.lru_cache(maxsize=512)
def _math(latex: str) -> str:
    return convert(latex, display="block")


def _page(source: str, *parts: str, numbers: Sequence[str | Along] = ()) -> Text:
    """A small page: paragraphs and (those that begin with $) equations, and where in the paper they come from.

    Where `slot(i)` stands in it, comes the i-th of the `numbers`: they may follow a slider.
    """
    body = "".join(_math(part[1:]) if part.startswith("$") else f"<p>{part}</p>" for part in parts)
    pieces = re.split(_SLOT + r"(\d\d)", f"{body}<p><small>{source}</small></p>")
    return tuple(numbers[int(piece)] if i % 2 else piece for i, piece in enumerate(pieces))


def _slot(i: int) -> str:
    return f"{_SLOT}{i:02d}"


def _sizes(d: Dissection) -> tuple[int, int, int]:
    return d.mask.shape[1], d.mask.shape[2], d.mask.shape[3]


def activation_map(d: Dissection, label: str) -> Text:
    """J, Eq. 5 and 7."""
    c, _, _ = _sizes(d)
    if isinstance(d.method, CamDrop) and d.method.guide == "mean":
        return _page("Table 2", rf"$J=\frac{{1}}{{C}}\sum_{{c=1}}^{{{c}}}X_c", "The mean of all channels, blind to y.")
    width = d.activation.model.fc.in_features
    group = width // c
    weights = (
        f"α<sub>c</sub> is the classifier's weight of channel c for y = {html.escape(label)}."
        if group == 1
        else f"The classifier has {width} weights for y = {html.escape(label)}, this site {c} channels: "
        f"α<sub>c</sub> is the sum of ⌊{width}/{c}⌋ = {group} of them."
    )
    return _page("Eq. 5, 7", rf"$J^{{y}}=\sum_{{c=1}}^{{{c}}}\alpha^{{y}}_c\,X_c", weights)


def positions(d: Dissection) -> Text:
    """How many positions are dominant, Eq. 6."""
    _, h, w = _sizes(d)
    if not isinstance(d.method, CamDrop):
        return _blind(d)
    n, fraction = d.method.position_count(h, w), d.method.position_fraction
    if fraction is None:
        r = d.block_size
        share, numbers = r"\frac{HW}{r^2}", rf"\frac{{{h}\cdot {w}}}{{{r}^2}}"
    else:
        share, numbers = r"HW\,f", rf"{h}\cdot {w}\cdot {fraction:g}"
    return _page(
        "Eq. 6",
        rf"$\max\left(1,\left\lfloor {share}\right\rfloor\right)"
        rf"=\max\left(1,\left\lfloor {numbers}\right\rfloor\right)={n}",
        f"The {n} largest of the {h * w} values of J."
        + ("" if fraction else " The paper's n = (1 − 1/r²)·HW are the positions taken away, and HW/r² are left."),
    )


def channels(d: Dissection) -> Text:
    """How many channels are dominant, Eq. 8."""
    c, _, _ = _sizes(d)
    if not isinstance(d.method, CamDrop):
        return _blind(d)
    n = d.method.channel_count(c)
    if d.method.channels == "all":
        return _page("Table 3", f"All {c} channels take part, whatever their α.")
    extra = "+1" if d.method.reading == "official" else ""
    f = d.method.channel_fraction
    return _page(
        "Eq. 8; the official code takes one channel more" if extra else "Eq. 8",
        rf"$\max\left(1,\left\lfloor C f\right\rfloor\right){extra}"
        rf"=\max\left(1,\left\lfloor {c}\cdot {f:g}\right\rfloor\right){extra}={n}",
        f"The {n} channels with the largest α.",
    )


def seeds(shown: Shown) -> Text:
    """Which candidates become seeds, Eq. 4 and 9, by the reading that was chosen."""
    d = shown.d
    method, (c, h, w), r = d.method, _sizes(d), d.block_size
    numbers = [
        shown.numbers(lambda m: f"{m.keep_prob:g}"),
        shown.numbers(lambda m: f"{1 - m.keep_prob:.3g}"),
        shown.numbers(lambda m: f"{m.rate:.3g}"),
        shown.numbers(lambda m: f"{d.chances * m.rate:.3g}"),
        shown.numbers(lambda m: f"{m.hits:,}"),
    ]
    gamma, drop, p, expected, hits = map(_slot, range(5))
    tossed = f"{d.chances:,} × {p} ≈ {expected} expected; this draw has {hits}."
    block_rate = [
        r"$p=\frac{(1-\gamma)HW}{r^2(H-r+1)(W-r+1)}",
        rf"$=\frac{{{drop}\cdot {h}\cdot {w}}}{{{r}^2\cdot {h - r + 1}\cdot {w - r + 1}}}={p}",
    ]
    if isinstance(method, CamDrop):
        rates = {
            "paper": [rf"$p=1-\gamma=1-{gamma}={p}"],
            "official": block_rate,
            "matched": [
                r"$p=\min\left(1,\frac{(1-\gamma)CHW}{r^2\cdot n}\right)",
                rf"$=\min\left(1,\frac{{{drop}\cdot {c * h * w}}}{{{r}^2\cdot {max(1, d.chances)}}}\right)={p}",
            ],
        }
        return _page(
            f"Eq. 4, 9; reading “{method.reading}”",
            r"$\text{seeds}=\neg\psi\wedge\neg M^{(1)}\wedge\neg M^{(2)}\wedge\neg M^{(3)}",
            "A candidate is a dominant position (1) in a dominant channel (2) whose whole block lies inside (3). "
            "Each becomes a seed with probability p.",
            *rates[method.reading],
            tossed,
            numbers=numbers,
        )
    if isinstance(method, DropBlock):
        text = "Each valid centre of each channel is a seed with probability"
        return _page("Ghiasi et al. 2018", text, *block_rate, tossed, numbers=numbers)
    over = {"Dropout": "M_{c,h,w}", "SpatialDropout": "M_c"}.get(type(method).__name__, "M")
    return _page("Eq. 2", rf"${over}\sim\mathrm{{Ber}}(\gamma={gamma})", tossed, numbers=numbers)


def blocks(d: Dissection) -> Text:
    """F of Eq. 4."""
    if not isinstance(d.method, DropBlock | CamDrop):
        return _blind(d)
    r = d.block_size
    low, high = r // 2, (r - 1) // 2
    return _page(
        "Eq. 4",
        rf"$[\,i-\lfloor \tfrac{{r}}{{2}}\rfloor,\; i+\lfloor \tfrac{{r-1}}{{2}}\rfloor\,]=[\,i-{low},\; i+{high}\,]",
        f"A seed at (i, j) drops the {r}×{r} units around it, in its own channel. Blocks may overlap.",
        "The paper writes ‖q − u‖₁ = r, which read literally is the outline of a diamond. We take DropBlock's square.",
    )


def masked(shown: Shown) -> Text:
    """Rescaling, Eq. 3 and 10, or 1/γ of Eq. 2."""
    d = shown.d
    c, h, w = _sizes(d)
    units = c * h * w
    numbers = [shown.numbers(lambda m: f"{units - m.dropped}"), shown.numbers(lambda m: f"{m.scale:.4g}")]
    kept, scale = map(_slot, range(2))
    if isinstance(d.method, DropBlock | CamDrop):
        factor = rf"$s=\frac{{CHW}}{{\sum M}}=\frac{{{units}}}{{{kept}}}={scale}"
        return _page("Eq. 3, 10", r"$\tilde X=M\odot X\cdot s", factor, numbers=numbers)
    return _page("Eq. 2", r"$\tilde X=M\odot X\cdot s", rf"$s=\frac{{1}}{{\gamma}}={scale}", numbers=numbers)


def _blind(d: Dissection) -> Text:
    return _page(
        "Eq. 4",
        r"$M=\mathcal F(\varphi(\psi,\mathcal T(X,y)),r)",
        f"{type(d.method).__name__} is random: its 𝒯 is zero and its φ changes nothing, so this step is empty.",
    )
