"""From a request to a step and back: which isolate takes it, what its effects do, how its bodies flow."""
