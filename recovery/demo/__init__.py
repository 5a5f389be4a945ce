"""``recovery demo``: a server dies in the middle of its work, and its clients see it.

`agent` is the application (a small agent server that keeps its sessions in the
agent store), `server` its process, `client` a screen that follows the sessions,
`play` the play of them all, `verdict` the closing table. `watched` and `timeouts` are
the last act: a tool is stuck, and its server lives.
"""
