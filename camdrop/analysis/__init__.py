"""Analysis of trained networks: mask steps, explanations, attacks, leakage, gradient bounds, heatmap export."""
