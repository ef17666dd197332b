"""The rule of a Split of the subject: means of its parts make up the mean of the whole.

So a mean of halves, and a variance that is put together from those of the parts (Welford's update),
are moments of x again: of the parts' moments the last is what the others leave of the whole's.
"""

from __future__ import annotations

from itertools import accumulate

import onnx_ir as ir

from normonnx.norm.algebra.interpret import Form, Interpreter
from normonnx.norm.algebra.polynomial import Cut, IntractableError, X
from normonnx.values.shapes import attribute_int, normalized

_MOST = 16
"""Parts beyond which a sum of all of them is no polynomial of use."""


def split(it: Interpreter, node: ir.Node, index: int) -> Form:
    """A part of the subject along one of its own axes."""
    form = it.form(node.inputs[0])
    if form.poly != X or not 1 < len(node.outputs) <= _MOST:
        raise IntractableError
    place = normalized(attribute_int(node, "axis", 0), len(form.groups))
    sizes = [it.dims(output)[place] for output in node.outputs]
    known = [size for size in sizes if isinstance(size, int) and size > 0]
    group = form.groups[place]
    if len(group) != 1 or len(known) != len(sizes):
        raise IntractableError
    cut = Cut(group[0], tuple(accumulate(known)))
    if it.labels.length(group) != cut.ends[-1]:
        raise IntractableError
    own = it.labels.part(cut, index)
    groups = (
        *form.groups[:place],
        () if cut.size(index) == 1 else (own,),
        *form.groups[place + 1 :],
    )
    return Form(it.algebra.part(cut, index, own), groups)
