"""What the operator gets to see: the logs of workers and of the runtime itself.

Read in this order: `text`, `logs`, `background`, `own`.
"""
