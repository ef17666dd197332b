"""Norms that were recognised, written: `nodes` makes them, `bodies` adds their functions.

`quantized` notes what reads such a norm and could have been part of it.
"""
