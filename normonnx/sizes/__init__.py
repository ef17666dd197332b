"""Sizes that a model accepts, and the shapes that its values have at them."""
