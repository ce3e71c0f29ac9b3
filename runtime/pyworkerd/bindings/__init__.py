"""What workers may use: a folder for each kind of binding, a table of kinds, and the way to `env`.

Read `base` first, then `hello`, the template. This is the host's half of each binding; the guest's half is in
the isolates package.
"""
