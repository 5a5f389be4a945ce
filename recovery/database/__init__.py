"""Connections of our own: opened, kept, replaced, closed."""
