"""Configuration that only pip reads is pointed out, and never copied."""

from pathlib import Path

from prometheus_ai.adapters.environments.uv.notes import pip_only_notes


def test_pips_own_index_is_noted_without_its_value(tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "pip"
    folder.mkdir(parents=True)
    (folder / "pip.conf").write_text("[global]\nindex-url = https://u:secret@index.example/\n")
    environ = {"HOME": str(tmp_path), "PIP_FIND_LINKS": "/somewhere"}
    (note,) = pip_only_notes(environ, None)
    assert "PIP_FIND_LINKS" in note
    assert "index-url" in note
    assert "secret" not in note
    assert pip_only_notes(environ, "https://index.example/") == ()
    assert pip_only_notes({**environ, "UV_INDEX": "x"}, None) == ()
    (tmp_path / ".config" / "uv").mkdir()
    (tmp_path / ".config" / "uv" / "uv.toml").write_text("")
    assert pip_only_notes(environ, None) == ()
