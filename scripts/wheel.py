"""What a wheel holds beside the package `camdrop`: the app, its checkpoints and results, under camdrop/share."""

import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

SHARE = ("app.py", ".streamlit", "pages", "ui", "checkpoints", "results")


class BuildPy(build_py):
    """As setuptools builds packages, and then the rest; an editable installation reads it where it lies."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source in map(Path, self.get_source_files()):
            if source.parts[0] in SHARE:
                target = Path(self.build_lib, "camdrop", "share", source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def get_source_files(self) -> list[str]:
        """Those of the package and of the app, so that a source distribution has both."""
        found = (path for name in SHARE for path in (Path(name), *Path(name).rglob("*")))
        return [*super().get_source_files(), *(str(p) for p in found if p.is_file() and "__pycache__" not in p.parts)]
