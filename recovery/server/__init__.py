"""A server: its boot, its life beside an application, its end."""
