"""Workers: their processes, the supervisor that restarts them, and groups that have stalled."""
