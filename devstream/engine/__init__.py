"""One invocation: the session's steps, the runner's loop, and what hooks are handed."""
