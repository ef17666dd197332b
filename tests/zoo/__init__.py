"""A zoo of micro-models: one row each for what a fold, a fusion or a trap looks like."""
