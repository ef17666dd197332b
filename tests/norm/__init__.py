"""The normalisation algebra: unit tests, tables of spellings and look-alikes, random spellings."""
