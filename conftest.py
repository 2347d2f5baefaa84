"""Root of all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# how long an example takes to draw says how busy the machine is, and nothing about the code
settings.register_profile("devstream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("devstream")
