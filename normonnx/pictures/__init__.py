"""Pictures of rewrites, drawn while both sides are in the graph."""
