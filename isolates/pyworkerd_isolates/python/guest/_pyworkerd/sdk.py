"""What the machinery needs of the SDK, and of modules that are made of it. `step` fills it in.

The SDK is built on the machinery, so these names cannot be imported where they are used; and an `import` statement in
a function that every request runs touches pages that an isolate would otherwise share.
"""

Request = None
Response = None
SHAPES = None
HANDLED = None
python_from_rpc = None
python_to_rpc = None
message = None
read_message = None
member = None
scan = None
