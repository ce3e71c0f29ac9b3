"""What tests lend in Python: source that other sources go on from, inside of the class or behind it."""

COUNTER = """\
class Counter(RpcTarget):
    def __init__(self):
        self._value = 0

    def add(self, by=1):
        self._value += by
        return self._value

    @property
    def value(self):
        return self._value

    def twin(self):
        return self
"""
