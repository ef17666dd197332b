"""The domain ``normonnx``: its operators as data, as functions, as schemas, and their library.

`operators` is the table everything else follows. `functions` writes them with standard operators,
`references` with NumPy in float64, `schemas` tells onnx about them, `library` finds the shared
library that has their kernels and registers it with ONNX Runtime.
"""
