"""Notebooks without a kernel: cell by cell in one namespace; what a cell ends with is shown, as Jupyter would show it.

python -m tests.support.notebooks examples/heatmaps_and_masks.ipynb    run it, and put what it shows into the file
"""

import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def run(path: Path) -> dict[str, Any]:
    """The notebook with the outputs of every cell of code, numbered as by a kernel just started."""
    notebook, names = json.loads(path.read_text("utf-8")), dict[str, Any](__name__="__main__")
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, 1):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = _value("".join(cell["source"]), names)
        cell["execution_count"], cell["outputs"] = number, _outputs(value, printed.getvalue(), number)
    return notebook


def _value(code: str, names: dict[str, Any]) -> Any:
    """What the last line of a cell says, after the others have been run; None where it is no expression."""
    *lines, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        lines, last = [*lines, last], ast.Expr(ast.Constant(None))
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def _outputs(value: Any, printed: str, number: int) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = []
    if printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)})
    if value is not None:
        data: dict[str, Any] = {"text/plain": [repr(value) if len(repr(value)) < 200 else f"<{type(value).__name__}>"]}
        if picture := getattr(value, "_repr_png_", None):
            data["image/png"] = base64.b64encode(picture()).decode()
        outputs.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    return outputs


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(json.dumps(run(Path(name)), indent=1, ensure_ascii=False) + "\n", "utf-8")
