"""A directed acyclic graph over any hashable nodes; it knows nothing of tools."""
