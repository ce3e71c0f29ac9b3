"""`env` and `ctx`: what a worker may use, and what it knows of the invocation it runs in."""

import _wire

from . import sdk


class Env:
    """The worker's bindings, as attributes. The set of names is fixed when the isolate starts."""

    def __getattr__(self, name):
        raise AttributeError(f"this worker has no binding named {name!r}", name=name, obj=self)

    def __repr__(self):
        return f"<env {' '.join(sorted(vars(self)))}>"

    def __contains__(self, name):
        return name in vars(self)

    def __getitem__(self, name):
        try:
            return vars(self)[name]
        except KeyError:
            raise KeyError(f"this worker has no binding named {name!r}") from None

    def __iter__(self):
        return iter(vars(self))


env = Env()
meta = {}


def set_bindings(bindings, about):
    """Fill `env`. A binding is a value, or a capability with its index in this worker's own table."""
    meta.update(about)
    vars(env).clear()
    for name, kind, value, *details in bindings:
        vars(env)[name] = _wire.load_value(value) if kind == "value" else sdk.SHAPES[kind](value, *details)


class Context:
    """`ctx`: promises of one invocation, and the `props` that its binding was configured with."""

    __slots__ = ("_invocation", "_props")

    def __init__(self, invocation, props):
        self._invocation = invocation
        self._props = props

    def wait_until(self, awaitable):
        """Keep the invocation alive after its response until `awaitable` is done."""
        self._invocation.wait_until(awaitable)

    waitUntil = wait_until

    @property
    def props(self):
        return self._props

    def pass_through_on_exception(self):
        """Accepted, without effect: there is no origin behind a worker here."""

    passThroughOnException = pass_through_on_exception
