"""How fast models are in ONNX Runtime, one against the other, and how sure that is.

Nothing is imported here: the process that measures memory is to hold as little as it can.
"""
