"""Static files of a site: which file a path means, what `_headers` and `_redirects` add, and who answers first.

html       from a path to a file, or to the path that it should have had
rules      `_headers` and `_redirects`
types      from a name to a media type
service    the files as a service, and in front of a worker
"""
