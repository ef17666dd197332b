"""What is known of an ONNX operator, said once: one file per family."""
