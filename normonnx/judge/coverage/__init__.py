"""What of an optimised model the feeds of a comparison reach, and which feeds reach the rest."""
