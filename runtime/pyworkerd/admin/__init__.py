"""The admin address: a small HTTP site that tells how the server is, and an API that steers it.

Read in this order: `guard`, `routes`, `metrics`; `tokens`, `auth`, `api`, `session`, `table`, `openapi`; `site`.

A new page is a row of `routes.ROUTES`. What needs a token is a row of the API: of a `ROUTES` that `table` joins.
"""
