"""A graph, as far as no operator matters: graphs within graphs, dimensions, exact numbers."""
