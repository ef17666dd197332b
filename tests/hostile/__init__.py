"""Models that mean harm, and what normonnx says to them."""
