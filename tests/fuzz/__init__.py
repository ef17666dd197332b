"""Mutants of real and tiny models: no crash, no hang, no traceback, no wrong model."""
