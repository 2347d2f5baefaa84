"""Config, state and what is really there become a plan. Pure, but for the `read` that is handed in."""
