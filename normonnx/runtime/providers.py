"""The execution providers that models are run on, by the short names of the command line."""

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
