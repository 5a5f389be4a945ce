"""The events: read after a position, and handed to subscribers."""
