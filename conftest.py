"""Root of all tests."""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# a shell that starts the tests in the background has them ignore SIGINT, and what they start would ignore it too
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# how long an example takes to draw says how busy the machine is, and nothing about the code
settings.register_profile("devstream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("devstream")
