"""Analysis of trained networks: a mask step by step, gradient bounds, attacks, heatmaps in numbers and as files."""
