"""What Explore hands out: the numbers as CSV, and everything with its settings as ZIP."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import torch

from camdrop.analysis.explanations import Explanation, scores
from camdrop.cam import class_activation_map
from camdrop.figures import overlay, png
from ui.panels.views import ColouredHeatmap, Seen, Style, arrange

_NOTEBOOK = Path(__file__).with_name("open_export.ipynb")
_SIDE = 1024  # pixels, about, of a picture


def picture(heatmap: ColouredHeatmap, style: Style) -> bytes:
    """A heatmap over its image as a PNG file, about 1,024 pixels a side: the image in squares, the heatmap smooth."""
    image = heatmap.explanation.prediction.picture
    scale = max(1, round(_SIDE / max(image.shape[:2])))
    large = image.repeat(scale, 0).repeat(scale, 1)
    low, high = (0.0, 1.0) if heatmap.signed else (style.start, style.end)
    return png(overlay(large, heatmap.share, colormap=heatmap.colormap, low=low, high=high, opacity=style.opacity))


def table(seen: Seen) -> bytes:
    """A line a network: its answer, the class and the statistics of its heatmap, and the scores as far as known."""
    rows = []
    for explanation in seen.explanations:
        meta, known = explanation.checkpoint.meta, scores(explanation)
        heatmap, probabilities = explanation.heatmap, explanation.prediction.probabilities
        row: dict[str, Any] = {
            "checkpoint": explanation.name,
            "method": meta.method,
            "architecture": meta.architecture,
            "data set": meta.dataset,
            "test error %": meta.test_error,
            "image": seen.image,
            "true class": seen.truth,
            "class of the heatmap": explanation.target_name,
            "probability of it": f"{probabilities[explanation.target]:.6f}",
            "stage": explanation.stage,
            "least evidence": f"{heatmap.min():.6g}",
            "most evidence": f"{heatmap.max():.6g}",
            "share above half of the maximum": f"{explanation.statistics.coverage:.6f}",
            "regions": explanation.statistics.regions,
            "entropy": f"{explanation.statistics.entropy:.6f}",
            "deletion score": f"{known.deletion_auc:.6f}" if known else None,
            "insertion score": f"{known.insertion_auc:.6f}" if known else None,
        }
        top = explanation.prediction.top()
        for place in range(5):
            exists = place < len(top)
            row[f"class {place + 1}"] = meta.classes[top[place][0]] if exists else None
            row[f"probability {place + 1}"] = f"{top[place][1]:.6f}" if exists else None
        rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")  # so that spreadsheets read γ and é


def raw(explanation: Explanation) -> dict[str, np.ndarray]:
    """The numbers behind a heatmap: the map J in the positions of its stage, the scores of all classes, the image."""
    prediction, model = explanation.prediction, explanation.checkpoint.model
    last, target = model.stage_names[-1], torch.tensor([explanation.target])
    with torch.inference_mode():
        logits = model.forward_from(last, prediction.stages[last])[0]
        cam = class_activation_map(prediction.stages[explanation.stage], model.fc.weight, target)[0]
    return {
        "J": cam.numpy(),
        "heatmap": explanation.heatmap,
        "logits": logits.numpy(),
        "classes": np.array(explanation.checkpoint.meta.classes),
        "target": np.array(explanation.target),
        "stage": np.array(explanation.stage),
        "image": prediction.picture,
    }


def bundle(seen: Seen, style: Style) -> bytes:
    """Everything: the image, each picture with its numbers, the table, the settings, and a notebook that opens them."""
    complete = {
        "settings": seen.settings,
        "link": "?" + urlencode(seen.settings, doseq=True),
        "image": seen.image,
        "true class": seen.truth,
        "checkpoints": {e.name: dataclasses.asdict(e.checkpoint.meta) for e in seen.explanations},
        "versions": {name: version(name) for name in ("camdrop", "torch", "numpy", "opencv-python-headless")},
    }
    first = seen.explanations[0].prediction.picture
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("image.png", png(first, max(1, round(_SIDE / max(first.shape[:2])))))
        for place, heatmap in enumerate(arrange(seen.explanations, style), 1):
            stem = f"{place}-{re.sub(r'[^A-Za-z0-9._-]+', '_', heatmap.explanation.name)}"
            files.writestr(f"{stem}.png", picture(heatmap, style))
            heat, numbers = io.BytesIO(), io.BytesIO()
            np.save(heat, heatmap.explanation.heatmap)
            np.savez(numbers, allow_pickle=False, **raw(heatmap.explanation))
            files.writestr(f"{stem}.npy", heat.getvalue())
            files.writestr(f"{stem}.npz", numbers.getvalue())
        files.write(_NOTEBOOK, "open.ipynb")
        files.writestr("table.csv", table(seen))
        files.writestr("settings.json", json.dumps(complete, indent=2, ensure_ascii=False))
    return archive.getvalue()
