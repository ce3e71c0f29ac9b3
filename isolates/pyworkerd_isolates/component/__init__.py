"""Programs that other compilers made, as workers: components for `wasi:http/proxy`, and CGI in a core module."""
