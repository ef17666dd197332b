"""Models and parts of models in float64. It knows no engine and no judge."""
