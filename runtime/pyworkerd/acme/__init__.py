"""Certificates from an ACME authority (RFC 8555), renewed into the files that a TLS socket reads.

Read in this order: `files`, `order`, `keeper`, `challenges`.
"""
