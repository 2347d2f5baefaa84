"""Finding plugins, loading the ones that are needed, and calling their hooks."""
