"""From the nodes of a graph to the norms that can be written as one operator.

`search` says where to look and `recognise` looks: `follow` finds which values behind a root have a
normal form, `fit` makes a norm fit an operator of the target (`candidates`), and `choose` takes
those that save most nodes (`savings`). `source`, `arrangement`, `attach` and `residual` say what
the operator reads, on which axes, and which scale, bias and sum it takes along.
"""
