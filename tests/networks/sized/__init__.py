"""The steps of which networks with shape arithmetic are drawn."""
