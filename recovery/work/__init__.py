"""Units of work that processes do: kept by fuses, tracked, stopped, cancelled."""
