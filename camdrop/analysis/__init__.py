"""Analysis of trained networks: mask steps, explanations, attacks, gradient bounds, heatmap metrics and export."""
