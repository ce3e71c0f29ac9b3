"""Lines of what a program prints."""

from pyworkerd_isolates.component.logs import MAX_LINE, Lines


def lines(*pieces, most=100_000):
    said = []
    log = Lines(said.append, 3, most)
    for piece in pieces:
        log.stdout(piece)
    log.stderr(b"oh")
    log.finish()
    return [tuple(each[2:]) for each in said]


def test_lines_are_put_together():
    assert lines(b"a", b"b\nc\n", b"\xff") == [
        ("info", "stdout", "ab"),
        ("info", "stdout", "c"),
        ("info", "stdout", "\ufffd"),
        ("error", "stderr", "oh"),
    ]


def test_long_lines_are_cut_and_there_is_an_end():
    assert [len(text) for _, _, text in lines(b"x" * (2 * MAX_LINE + 1))] == [MAX_LINE, MAX_LINE, 1, 2]
    assert len(lines(*[b"\n" * 1000] * 1000, most=6400)) == 100
