"""What follows the hand in the browser: slider, pictures, voxels, curves; Python face, JavaScript and CSS together."""
