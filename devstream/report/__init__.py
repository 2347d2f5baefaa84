"""What people and programs get to see: plans, progress, summaries, JSON, pictures."""
