"""Versions of workers that were deployed to a running server: what there is, what is live, and how it is kept.

Read in this order: `model`, `rules`, `archive`, `store`, `overlay`, `choice`, `split`, `trial`.
"""
