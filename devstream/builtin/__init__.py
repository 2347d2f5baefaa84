"""First-party plugins. They import only `devstream.api`, as any third party does."""
