"""Small networks with BatchNorm and LayerNorm, written from seeds: see README.md in this folder."""
