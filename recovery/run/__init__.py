"""`recovery run`: protects a command whose code nobody touches.

Three processes: the supervisor (`supervisor.py`), which owns the epoch; the guardian
(`guardian.py`), its child and the parent of the command, which stops the command if the
supervisor dies; and the command.
"""
