"""Forms: the mapping, and the two encodings against every way to break them."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlencode

import pytest
from guest_workers import form_data
from guest_workers.blob import Blob, File
from guest_workers.form_data import FormData, parse_form, parse_multipart, parse_urlencoded
from hypothesis import example, given
from hypothesis import strategies as st

any_text = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=12)


def plain(form: FormData) -> list[tuple[str, object]]:
    return [(k, (v.name, v.content_type, v._data) if isinstance(v, File) else v) for k, v in form.items()]


class TestMapping:
    def test_names_may_repeat(self) -> None:
        form = FormData({"key": "a", "number": 123})
        form.append("key", "b")
        assert form["number"] == "123"
        assert form["key"] == form.get("key") == "a"
        assert form.get_all("key") == ["a", "b"]
        assert form.get_all("none") == []
        assert list(form) == list(form.keys()) == ["key", "number", "key"]
        assert list(form.values()) == ["a", "123", "b"]
        assert list(form.items()) == [("key", "a"), ("number", "123"), ("key", "b")]
        assert len(form) == 3
        assert "key" in form
        assert "none" not in form
        assert form.get("none") is None
        assert FormData(form) == form != FormData()
        assert FormData(list(form.items())) == form

    def test_setting_replaces_all_in_the_first_place(self) -> None:
        form = FormData([("a", "1"), ("b", "2"), ("a", "3")])
        form["a"] = True
        form["c"] = 1.5
        assert list(form.items()) == [("a", "true"), ("b", "2"), ("c", "1.5")]

    def test_deleting(self) -> None:
        form = FormData([("a", "1"), ("b", "2"), ("a", "3")])
        del form["a"]
        form.delete("a")
        assert list(form.items()) == [("b", "2")]
        with pytest.raises(KeyError):
            del form["a"]
        with pytest.raises(KeyError):
            form["a"]

    def test_blobs_stay_blobs_and_become_files_by_a_name(self) -> None:
        form = FormData()
        form["blob"] = Blob(["some string"])
        form.append("file", Blob("x", "a/b"), filename="n.txt")
        assert asyncio.run(form["blob"].text()) == "some string"
        assert plain(form)[1] == ("file", ("n.txt", "a/b", b"x"))
        with pytest.raises(TypeError):
            form.append("text", "x", filename="n.txt")

    @pytest.mark.parametrize("value", [None, b"x", ["x"], object()])
    def test_other_values_are_refused(self, value: object) -> None:
        form = FormData()
        for attempt in (form.append, form.__setitem__):
            with pytest.raises(TypeError):
                attempt("a", value)
        with pytest.raises(TypeError):
            form.append(5, "x")


def lines(text: str) -> str:
    return re.sub("\r\n|\r|\n", "\r\n", text)


class TestMultipart:
    @given(st.lists(st.tuples(any_text, any_text | st.tuples(any_text, st.binary(max_size=40)))))
    @example([('a"\r\n;=\\', ('C:\\"x"\n', b"\r\n--B\r\n--"))])
    @example([("", ""), ("", ("", b""))])
    @example([("a", "\r\n"), ("b", "--B--")])
    @example([("%0A", "%0D"), ("%22\n", "")])
    def test_a_form_comes_back(self, fields: list[tuple[str, str | tuple[str, bytes]]]) -> None:
        form = FormData([(k, v if isinstance(v, str) else File(v[1], v[0], "a/b")) for k, v in fields])
        data = form.to_multipart("0123456789abcdef0123456789abcdef")
        parsed = parse_form(data, 'multipart/form-data; boundary="0123456789abcdef0123456789abcdef"')
        expected = [
            (
                unescaped(lines(k)),
                lines(v).removeprefix("\ufeff") if isinstance(v, str) else (unescaped(v[0]), "a/b", v[1]),
            )
            for k, v in fields
        ]
        assert plain(parsed) == expected

    def test_the_bytes_are_these(self) -> None:
        form = FormData([('a"b\n', "1\n2"), ("f", File(b"\0", "x\ry", "")), ("g", Blob("z", "t/x"))])
        assert form.to_multipart("B") == (
            b'--B\r\nContent-Disposition: form-data; name="a%22b%0D%0A"\r\n\r\n1\r\n2\r\n'
            b'--B\r\nContent-Disposition: form-data; name="f"; filename="x%0Dy"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n\0\r\n"
            b'--B\r\nContent-Disposition: form-data; name="g"; filename="blob"\r\nContent-Type: t/x\r\n'
            b"\r\nz\r\n"
            b"--B--\r\n"
        )
        assert FormData().to_multipart("B") == b"--B--\r\n"
        assert len(parse_multipart(b"--B--\r\n", "B")) == 0

    @pytest.mark.parametrize("boundary", ["", "a\r\nb", "x" * 71, "ends ", 'q"', "é"])
    def test_bad_boundaries_are_refused(self, boundary: str) -> None:
        with pytest.raises(ValueError):
            FormData({"a": "b"}).to_multipart(boundary)

    def test_a_boundary_in_the_form_is_refused(self) -> None:
        for form in (FormData({"a": "xBOUNDx"}), FormData({"BOUND": "a"}), FormData({"a": Blob("BOUND")})):
            with pytest.raises(ValueError, match="occurs"):
                form.to_multipart("BOUND")

    def test_what_browsers_and_curl_send_is_read(self) -> None:
        data = (
            b'--X \t\r\ncontent-disposition: FORM-DATA; name="a"\r\n\r\nv\r\n'
            b"--X\r\nContent-Type: text/html\r\nX-Other: 1\r\n"
            b"Content-Disposition: form-data; name=f; filename=\"n\xc3\xa9\"; filename*=UTF-8''other\r\n\r\n"
            b"<p>\r\n--Xno\r\n"
            b"--X--\r\nepilogue"
        )
        data = data.replace(b"--Xno", b"-Xno")
        assert plain(parse_multipart(data, "X")) == [("a", "v"), ("f", ("né", "text/html", b"<p>\r\n-Xno"))]

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"--",
            b"--Y--",
            b"preamble\r\n--X--",
            b"--X",
            b"--X\r\n",
            b"--X\n",
            b"--Xx\r\n",
            b'--X\r\nContent-Disposition: form-data; name="a"',
            b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nv',
            b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--X',
            b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--Xy--',
            b'--X\r\nContent-Disposition: form-data; name="a"\n\nv\r\n--X--',
            b'--X\r\nContent-Disposition: form-data; name="a"\nX: y\r\n\r\nv\r\n--X--',
            b"--X\r\nContent-Disposition: form-data\r\n\r\nv\r\n--X--",
            b'--X\r\nContent-Disposition: attachment; name="a"\r\n\r\nv\r\n--X--',
            b"--X\r\nContent-Type: a/b\r\n\r\nv\r\n--X--",
            b"--X\r\nno colon\r\n\r\nv\r\n--X--",
            b"--X\r\nX: " + b"y" * 9000 + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--X--',
        ],
    )
    def test_what_is_malformed_is_refused(self, data: bytes) -> None:
        with pytest.raises(ValueError):
            parse_multipart(data, "X")

    def test_an_empty_part_before_the_end_is_read(self) -> None:
        data = b'--X\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--X--'
        assert plain(parse_multipart(data, "X")) == [("a", "")]

    def test_the_number_of_parts_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(form_data, "MAX_PARTS", 3)
        parse_multipart(FormData([("a", "1")] * 3).to_multipart("X"), "X")
        with pytest.raises(ValueError, match="more than 3"):
            parse_multipart(FormData([("a", "1")] * 4).to_multipart("X"), "X")
        parse_urlencoded(b"a&b&c")
        with pytest.raises(ValueError, match="more than 3"):
            parse_urlencoded(b"a&b&c&d")

    @given(st.binary(max_size=60))
    def test_hostile_bytes_raise_nothing_else(self, data: bytes) -> None:
        for attempt in (
            data,
            b"--X\r\n" + data,
            b'--X\r\nContent-Disposition: form-data; name="a"\r\n' + data,
        ):
            try:
                parse_multipart(attempt, "X")
            except ValueError:
                continue


def unescaped(name: str) -> str:
    """What the HTML standard's escapes lose: a name that looks escaped comes back without."""
    return name.replace("%0A", "\n").replace("%0D", "\r").replace("%22", '"')


class TestUrlencoded:
    @given(st.lists(st.tuples(any_text, any_text), max_size=8))
    def test_a_form_comes_back(self, fields: list[tuple[str, str]]) -> None:
        assert list(parse_urlencoded(urlencode(fields).encode()).items()) == fields

    @pytest.mark.parametrize(
        ("data", "fields"),
        [
            (b"", []),
            (b"&&a=1&&", [("a", "1")]),
            (b"a", [("a", "")]),
            (b"=", [("", "")]),
            (b"a=b=c", [("a", "b=c")]),
            (b"a+b=%2B%zz%", [("a b", "+%zz%")]),
            (b"a=%ff", [("a", "\ufffd")]),
            (b"a=1&a=2", [("a", "1"), ("a", "2")]),
            (b"a=1;b=2", [("a", "1;b=2")]),
        ],
    )
    def test_it_reads_what_the_url_standard_says(self, data: bytes, fields: object) -> None:
        assert list(parse_urlencoded(data).items()) == fields

    @given(st.binary(max_size=60))
    def test_hostile_bytes_are_read(self, data: bytes) -> None:
        assert all(isinstance(value, str) for value in parse_urlencoded(data).values())


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json", "multipart/mixed; boundary=X"])
def test_other_types_are_no_forms(kind: str) -> None:
    with pytest.raises(TypeError, match="Unrecognized Content-Type"):
        parse_form(b"", kind)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", 'multipart/form-data; boundary=""', "multipart/form-data; boundary=é"]
)
def test_a_multipart_form_needs_a_boundary(kind: str) -> None:
    with pytest.raises(ValueError, match="boundary"):
        parse_form(b"", kind)
