"""Who writes, and whether it still may: what hooks, fuses and processes need of a server."""
