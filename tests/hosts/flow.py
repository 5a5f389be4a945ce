"""A Prefect flow that says its id; it hangs, or it is done and says what the API knows of others."""

import sys
import time

from prefect import flow, get_client
from prefect.context import get_run_context


@flow(log_prints=False)
def work(others: list[str]) -> str:
    print(get_run_context().flow_run.id, flush=True)
    if others == ["hang"]:
        time.sleep(3600)
    return "done"


work(sys.argv[1:])
with get_client(sync_client=True) as client:
    for other in sys.argv[1:]:
        run = client.read_flow_run(other)
        print(run.state.type.value, run.state.name, run.state_name, run.state.message, flush=True)
        for state in client.read_flow_run_states(other):
            print("-", state.type.value, flush=True)
