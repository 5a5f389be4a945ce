"""Watches as the host's own models declare them."""
