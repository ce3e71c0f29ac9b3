"""The admin address: a small HTTP site that tells how the server is.

Read in this order: `guard`, `routes`, `metrics`, `site`.

A new page is a row of `routes.ROUTES`.
"""
