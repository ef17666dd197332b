"""The proof of one rewrite: both sides evaluated, and each stored number checked."""
