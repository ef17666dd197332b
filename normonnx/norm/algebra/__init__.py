"""Values around an inverse square root as polynomials in x, its moments and that root.

`layout` says along which axes of x a value varies, `polynomial` holds the terms, `operations` what
can be done with them. `interpret` turns nodes into polynomials by the `rules` of their operators,
reading constants by `scalars` and `counts`; `normal_form` says which polynomials are a norm.
"""
