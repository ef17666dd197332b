"""The execution providers that models are run on, by the short names of the command line."""

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def short_name(provider: str) -> str:
    """What the command line calls a provider of ONNX Runtime; one that it does not know, as is."""
    return next((short for short, name in PROVIDERS.items() if name == provider), provider)
