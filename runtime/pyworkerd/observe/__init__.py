"""What the operator gets to see: ids and traces of requests, logs, and metrics.

Read in this order: `trace`, `scope`; `text`, `logs`, `background`, `own`; `families`, `snapshot`, `counters`,
`exposition`, `totals`.
"""
