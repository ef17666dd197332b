"""NX209: Transposes move past what lies between them where some of them meet and vanish.

`carry` says what an operator becomes on tensors that are laid out anew, `region` which nodes could
be, `cut` which of them are best, and `rewriting` writes these.
"""

from __future__ import annotations

from normonnx.simplify.transposes.rewriting import move

__all__ = ["move"]
