from pathlib import Path

import pytest

from pilothouse.settings import Settings, SettingsError, load


def test_defaults_hold_no_secret():
    """Nothing secret has a value that nobody chose."""
    settings = load({})
    assert settings.admin_password is None
    assert settings.metrics_token is None


@pytest.mark.parametrize(
    ("name", "value", "wants"),
    [
        ("LISTEN", "4080", "host:port"),
        ("LISTEN", "x:99999", "host:port"),
        ("RETENTION", "soon", "duration"),
        ("MAX_DISK", "-1", "greater"),
        ("LOG_LEVEL", "LOUD", "pattern"),
        ("JOURNAL", "perhaps", "boolean"),
    ],
)
def test_a_wrong_value_names_setting_value_and_want(name: str, value: str, wants: str):
    """The error carries the setting's name, what it got and what it wants."""
    with pytest.raises(SettingsError) as caught:
        load({f"PILOTHOUSE_{name}": value})
    assert f"PILOTHOUSE_{name}" in str(caught.value)
    assert repr(value) in str(caught.value)
    assert wants in str(caught.value)


def test_a_wrong_secret_is_not_shown(tmp_path: Path):
    """A secret that can't be read from its file is named, never printed."""
    with pytest.raises(SettingsError, match="PILOTHOUSE_ADMIN_PASSWORD_FILE"):
        load({"PILOTHOUSE_ADMIN_PASSWORD_FILE": str(tmp_path / "none")})


def test_a_file_variable_gives_the_value(tmp_path: Path):
    """NAME_FILE reads the value from a file, without its last newline."""
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    settings = load({"PILOTHOUSE_ADMIN_PASSWORD_FILE": str(secret)})
    assert settings.admin_password is not None
    assert settings.admin_password.get_secret_value() == "correct horse"


def test_the_environment_wins_over_the_file(tmp_path: Path):
    """Order: file, environment, what was given."""
    config = tmp_path / "pilothouse.toml"
    config.write_text('retention = "3d"\nlisten = "127.0.0.1:1"\nlog_files = ["a=/x"]\n')
    settings = load({"PILOTHOUSE_CONFIG": str(config), "PILOTHOUSE_LISTEN": "127.0.0.1:2"}, data_dir="elsewhere")
    assert (settings.port, settings.log_files, settings.data_dir) == (2, ["a=/x"], Path("elsewhere"))


@pytest.mark.parametrize("text", ["nonsense = 1", "listen = [", "retention = 5.5"])
def test_a_wrong_file_is_refused(tmp_path: Path, text: str):
    """An unknown key, broken TOML or a wrong type stops the start."""
    config = tmp_path / "pilothouse.toml"
    config.write_text(text)
    with pytest.raises(SettingsError):
        load({"PILOTHOUSE_CONFIG": str(config)})


def test_a_child_process_reads_the_same_tree():
    """What the supervisor hands down as variables is what it had itself."""
    settings = load({}, retention="36h", log_files=["a=/x/*.log", "/y"], admin_password="pw", docker=False)
    assert load(settings.environment()) == settings
    assert Settings().environment() == {}


def test_every_setting_is_in_the_docs():
    """docs/settings.md names each setting."""
    text = Path("docs/settings.md").read_text()
    missing = [name for name in Settings.model_fields if f"`{name.upper()}`" not in text]
    assert not missing
