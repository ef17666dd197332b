"""What is known of the values of a model: constants and their numbers, dimensions and types."""
