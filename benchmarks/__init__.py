"""Measurements: see the docstring of each script, and results/ for what they wrote."""
