"""Cron: `scheduled` handlers, run when their expressions say so, each tick once among all processes."""
