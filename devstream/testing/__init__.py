"""Shipped for authors of plugins and backends: fixtures and contract test classes."""
