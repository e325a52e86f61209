"""Words on pages."""

from __future__ import annotations

# What pictures explain where the pointer rests on the word, in their titles, lines and rows.
TERMS = {
    "above half of the maximum": "The part of the image where the heatmap is above half of its largest value.",
    "regions": "Separate parts of the image where the heatmap is above half of its largest value.",
    "region": "A connected part of the image where the heatmap is above half of its largest value.",
    "entropy": "How evenly the heatmap spreads over the image: 0 is a single pixel, 1 is even.",
    "Deletion": "The area under the probability of the class as pixels are taken away, those of the most evidence "
    "first: low if the heatmap points at what the network uses.",
    "insertion": "The area under the probability of the class as pixels come back into a blurred image, those of the "
    "most evidence first: high if the heatmap points at what the network uses.",
    "evidence": "J, the sum of the feature maps weighted by the classifier's weights of the class (Eq. 5).",
    "Perturbation": "The attacked image minus the image.",
    "J": "The class activation map: how much each position speaks for the class (Eq. 5).",
    "α": "The classifier's weights of the class, one for each channel (Eq. 7).",
    "dominant": "Among the largest: of J for positions (Eq. 6), of α for channels (Eq. 8).",
    "valid centres": "Positions whose whole r×r block lies inside the map.",
    "candidates": "Units where a seed may fall: a dominant position, in a dominant channel, at a valid centre.",
    "Candidates": "Units where a seed may fall: a dominant position, in a dominant channel, at a valid centre.",
    "seeds": "Candidates whose coin came out as drop: each drops its block (Eq. 9).",
    "Seeds": "Candidates whose coin came out as drop: each drops its block (Eq. 9).",
    "kept units": "They are multiplied by this, so that the sum of the features stays about the same (Eq. 10).",
    "Rescaling factor": "Kept units are multiplied by it, so that the sum of features stays about the same (Eq. 10).",
    "Share dropped": "Of all units of this site, those that the mask really drops: often far fewer than 1 − γ.",
    "share dropped": "Of all units of a site, those that the masks really drop: often far fewer than 1 − γ.",
    "1 − γ": "The probability with which a coin drops, γ being the retaining rate.",
}


def literal(text: object) -> str:
    """Text from outside (a name, an error with a name in it) as Streamlit shows it: no markup, one line."""
    from camdrop.data.text import markdown_text  # here: its package imports PyTorch

    return markdown_text(str(text))
