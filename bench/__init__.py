"""Benchmarks: what recovery costs, as a ratio to the same work without it.

    python -m bench closing|boot|writing|failover|attach|events|rescue|all      (or: make bench ARGS=closing)

Absolute times depend on the machine, so every figure stands beside a bare one that was
measured in turn with it, and the ratio of the medians is what counts. `--sql DIR` (repeatable)
measures other versions of `sql/` in the same rounds.
"""
