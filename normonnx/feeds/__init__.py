"""Inputs that a model accepts: generated from what its graph says of them, or the user's own."""
