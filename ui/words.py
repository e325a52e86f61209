"""Words on pages."""

from __future__ import annotations


def literal(text: object) -> str:
    """Text from outside (a name, an error with a name in it) as Streamlit shows it: no markup, one line."""
    from camdrop.data.text import markdown_text  # here: its package imports PyTorch

    return markdown_text(str(text))
