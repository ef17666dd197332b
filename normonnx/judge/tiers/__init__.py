"""The tiers of a verdict: interface, algebra, rounding, discrete outputs."""
