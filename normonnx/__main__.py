"""``python -m normonnx`` is ``normonnx``."""

from __future__ import annotations

from normonnx.cli import main

if __name__ == "__main__":
    main()
