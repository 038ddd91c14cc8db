"""Reading and rendering manifest.json: the same input gives the same bytes, and nothing that people added is lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect_tasks.content.connect_manifest import read_manifest, render_manifest, shipped
from connect_tasks.content.manifest_changes import compare
from connect_tasks.errors import ManifestInvalid
from connect_tasks.repository.tree import EXECUTABLE, FILE, SUBMODULE, SYMLINK, Blob

WRITTEN: dict[str, Any] = {
    "version": 1,
    "locale": "en_US.UTF-8",
    "metadata": {"appmode": "python-api", "entrypoint": "app:app"},
    "python": {
        "version": "3.12.0",
        "package_manager": {"name": "pip", "version": "25.0.1", "package_file": "requirements.txt"},
    },
    "environment": {"python": {"requires": "~=3.12.0"}},
    "files": {"requirements.txt": {"checksum": "of what lay on disk"}, ".env": {"checksum": "junk"}},
}
TREE = {
    "requirements.txt": Blob(FILE, "1"),
    "app.py": Blob(FILE, "2"),
    "run.sh": Blob(EXECUTABLE, "3"),
    "link": Blob(SYMLINK, "4"),
    "vendored": Blob(SUBMODULE, "5"),
    "manifest.json": Blob(FILE, "6"),
}
CHECKSUMS = {oid: hashlib.md5(oid.encode(), usedforsecurity=False).hexdigest() for oid in "123456"}


def test_the_files_are_those_of_git_and_not_of_the_disk() -> None:
    manifest = json.loads(render_manifest(WRITTEN, TREE, CHECKSUMS))

    assert list(manifest["files"]) == ["app.py", "link", "requirements.txt", "run.sh"]
    assert manifest["files"]["link"] == {"checksum": CHECKSUMS["4"]}


def test_keys_are_sorted_and_the_file_ends_in_a_line_feed() -> None:
    content = render_manifest(WRITTEN, TREE, CHECKSUMS)

    assert content == (json.dumps(json.loads(content), indent=2, sort_keys=True) + "\n").encode()
    assert b"\r" not in content


def test_what_it_renders_it_finds_fresh() -> None:
    manifest = read_manifest(render_manifest(WRITTEN, TREE, CHECKSUMS), strict=True)

    assert compare(manifest, TREE, CHECKSUMS) == ()


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=12)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.sampled_from("123456"), max_size=12
).map(lambda files: {path: Blob(FILE, oid) for path, oid in files.items()})


@given(TREES)
def test_any_tree_survives_the_way_to_json_and_back(tree: dict[str, Blob]) -> None:
    tree = {"requirements.txt": Blob(FILE, "1"), **tree}
    content = render_manifest(WRITTEN, tree, CHECKSUMS)

    assert compare(read_manifest(content, strict=True), tree, CHECKSUMS) == ()
    assert render_manifest(WRITTEN, dict(reversed(tree.items())), CHECKSUMS) == content
    assert render_manifest(WRITTEN, tree, CHECKSUMS, read_manifest(content)) == content


@given(TREES, TREES)
def test_the_changes_are_exactly_the_difference_of_two_trees(old: dict[str, Blob], new: dict[str, Blob]) -> None:
    manifest = {"files": {path: {"checksum": CHECKSUMS[blob.oid]} for path, blob in old.items()}}
    old.pop("manifest.json", None), new.pop("manifest.json", None)
    changes = {(change.kind, change.path) for change in compare(manifest, new, CHECKSUMS)}

    assert changes == {
        *(("missing", path) for path in set(old) - set(new)),
        *(("unlisted", path) for path in set(new) - set(old)),
        *(("changed", path) for path in set(new) & set(old) if new[path] != old[path]),
    }


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | st.from_type(type(None)).map(lambda _: b"null")
)
def test_no_input_is_a_traceback(content: bytes) -> None:
    with contextlib.suppress(ManifestInvalid):
        assert isinstance(read_manifest(content), dict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SHAPES = st.dictionaries(
    st.sampled_from(["metadata", "files", "python", "environment", "quarto", "jupyter"]),
    JSON
    | st.dictionaries(
        st.sampled_from(["python", "package_manager", "app.py", "entrypoint", "appmode"]), JSON, max_size=3
    ),
)


@given(SHAPES)
def test_whatever_is_read_can_be_compared_and_kept(shape: dict[str, Any]) -> None:
    try:
        manifest = read_manifest(json.dumps(shape).encode())
    except ManifestInvalid:
        return
    compare(manifest, TREE, CHECKSUMS)
    render_manifest(WRITTEN, TREE, CHECKSUMS, manifest)


# include and exclude ------------------------------------------------------------------------------------------------


PATHS = (
    "a.py",
    "data/x.csv",
    "data/deep/y.csv",
    "docs/index.md",
    "manifest.json",
    "requirements.txt",
    "tests/test_a.py",
)


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ((), (), ["a.py", "data/x.csv", "data/deep/y.csv", "docs/index.md", "requirements.txt", "tests/test_a.py"]),
        ((), ("tests/", "docs/**"), ["a.py", "data/x.csv", "data/deep/y.csv", "requirements.txt"]),
        ((), ("*.csv", "!data/x.csv"), ["a.py", "data/x.csv", "docs/index.md", "requirements.txt", "tests/test_a.py"]),
        (("*.py", "data/"), ("tests",), ["a.py", "data/x.csv", "data/deep/y.csv", "requirements.txt"]),
        (("/*.py",), (), ["a.py", "requirements.txt"]),
        ((), ("*",), ["requirements.txt"]),
    ],
)
def test_patterns_are_those_of_gitignore(include: tuple[str, ...], exclude: tuple[str, ...], left: list[str]) -> None:
    assert shipped(PATHS, include, exclude) == tuple(sorted(left))


# what people and other tools added ----------------------------------------------------------------------------------


def test_known_extras_of_the_previous_manifest_are_kept() -> None:
    previous = {
        "environment": {
            "image": "registry/connect:1",
            "environment_management": {"python": False},
            "python": {"requires": "~=3.9.0"},
        },
        "jupyter": {"hide_all_input": True},
        "integration_requests": [{"guid": "x"}],
        "metadata": {"appmode": "python-api", "entrypoint": "old:app", "content_category": "site"},
        "python": {"version": "3.9.1", "package_manager": {"name": "uv", "allow_uv": True}},
        "files": {"gone.py": {"checksum": "x"}},
    }
    manifest = json.loads(render_manifest(WRITTEN, TREE, CHECKSUMS, previous))

    assert manifest["environment"] == {
        "image": "registry/connect:1",
        "environment_management": {"python": False},
        "python": {"requires": "~=3.12.0"},
    }
    assert manifest["jupyter"] == {"hide_all_input": True}
    assert manifest["integration_requests"] == [{"guid": "x"}]
    assert manifest["metadata"] == {"appmode": "python-api", "entrypoint": "app:app", "content_category": "site"}
    assert manifest["python"]["package_manager"]["allow_uv"] is True
    assert "gone.py" not in manifest["files"]


def test_extras_of_another_kind_of_content_go_but_the_image_stays() -> None:
    previous = {
        "environment": {"image": "registry/connect:1"},
        "jupyter": {"hide_all_input": True},
        "metadata": {"appmode": "jupyter-static", "content_category": "site"},
    }
    manifest = json.loads(render_manifest(WRITTEN, TREE, CHECKSUMS, previous))

    assert "jupyter" not in manifest
    assert manifest["metadata"] == WRITTEN["metadata"]
    assert manifest["environment"]["image"] == "registry/connect:1"


def test_the_constraint_of_a_mode_without_python_does_not_stay() -> None:
    written = {"version": 1, "metadata": {"appmode": "static"}, "files": {}}
    previous = {"metadata": {"appmode": "python-api"}, "environment": {"python": {"requires": "~=3.12.0"}}}

    assert "environment" not in json.loads(render_manifest(written, TREE, CHECKSUMS, previous))


def test_another_version_of_quarto_on_this_machine_changes_nothing() -> None:
    written = {"metadata": {"appmode": "quarto-static"}, "quarto": {"version": "1.7.1", "engines": ["jupyter"]}}
    previous = {"metadata": {"appmode": "quarto-static"}, "quarto": {"version": "1.6.40", "engines": ["jupyter"]}}
    other = {**previous, "quarto": {"version": "1.6.40", "engines": ["markdown"]}}

    assert json.loads(render_manifest(written, TREE, CHECKSUMS, previous))["quarto"] == previous["quarto"]
    assert json.loads(render_manifest(written, TREE, CHECKSUMS, other))["quarto"] == written["quarto"]


# what can't be read -------------------------------------------------------------------------------------------------


CONFLICT = '{\n  "version": 1,\n<<<<<<< HEAD\n  "locale": "C"\n=======\n  "locale": "D"\n>>>>>>> theirs\n}\n'


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (CONFLICT, 3, "merge conflict"),
        (CONFLICT.replace("\n", "\r\n"), 3, "merge conflict"),
        ('{\n  "version": 1,\n  "files": {\n}\n', 5, "not JSON"),
        ("", 1, "not JSON"),
        ("[]", 1, "no JSON object"),
        ('{"files": []}', 1, "'files'"),
        ('{"files": {"a.py": "x"}}', 1, "a.py"),
        ('{"python": {"package_manager": "pip"}}', 1, "python.package_manager"),
        ('{"environment": {"python": "3.12"}}', 1, "environment.python"),
        ("[" * 100_000, 1, "nested"),
        ('{\n"version": 1,\n"helo": 2}', 3, "'helo'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(content: str, line: int, words: str) -> None:
    with pytest.raises(ManifestInvalid, match=words) as caught:
        read_manifest(content.encode(), where="app/manifest.json", strict=True)
    assert caught.value.where == f"app/manifest.json:{line}"
    assert caught.value.hint


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ManifestInvalid, match="UTF-8") as caught:
        read_manifest(b'{\n"a": "\xff"}')
    assert caught.value.where == "manifest.json:2"


def test_a_byte_order_mark_and_unknown_keys_are_fine_to_read() -> None:
    assert read_manifest(b'\xef\xbb\xbf{"helo": 1}') == {"helo": 1}
