"""Help on one screen, and hints in one line where people err."""

from __future__ import annotations

from pathlib import Path

import pytest

from dreamvid.cli.app import run
from dreamvid.cli.config import MODELS
from dreamvid.cli.help import SHORT_HELPS
from dreamvid.config import build_config, options
from tests.cli.conftest import Command, refused

SCREEN = 45
"""Lines that a short help may take, at 80 columns."""


@pytest.fixture
def narrow(dreamvid: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs one command on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    return dreamvid


# Help


@pytest.mark.parametrize("command", SHORT_HELPS)
def test_help_fits_one_screen(narrow, command):
    told = narrow(command, "--help")
    assert (told.status, told.err) == (0, "")
    lines = told.out.splitlines()
    assert 20 < len(lines) <= SCREEN
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize("command", SHORT_HELPS)
def test_help_tells_the_twelve_options_most_used_and_where_the_rest_is(dreamvid, command):
    content = SHORT_HELPS[command]
    text = dreamvid(command, "-h").out
    names = [name.rstrip("_").replace("_", "-") for name in content.most_used]
    assert len(names) == len(set(names)) == 12
    told = [line.split()[1] for line in text.splitlines() if line.startswith("│ --")]
    assert told == [f"--{name}" for name in (*names, "help-all")]
    assert "--spectrum-decay" not in text
    for place in (f"dreamvid {command} --help-all", f"dreamvid config {content.model_name}"):
        assert place in text
    assert "README.md" in text


def test_help_tells_what_follows_an_option_and_its_default(dreamvid):
    lines = dreamvid("video", "--help").out.splitlines()
    (steps,) = (line for line in lines if "--steps" in line)
    words = " ".join(steps.strip("│ ").split())
    assert words == "--steps N Gradient steps a frame, over all octaves. (default: 6)"
    (at,) = (line for line in lines if line.startswith("│ --at "))
    assert "TIME TEXT" in at


@pytest.mark.parametrize("command", [*SHORT_HELPS, "eval"])
def test_all_options_stand_by_groups_in_the_full_help(dreamvid, command):
    told = dreamvid(command, "--help-all")
    assert (told.status, told.err) == (0, "")
    headings = [line.split()[1] for line in told.out.splitlines() if line.startswith("╭─")]
    assert headings[:3] == ["Arguments", "Options", "Prompts"]
    assert len(headings) == len(set(headings))


def test_options_of_a_zoom_stand_under_its_own_heading(dreamvid):
    text = dreamvid("zoom", "--help-all").out
    writing = text.partition("─ Writing ─")[2].partition("╰")[0]
    own = text.partition("─ Zoom ─")[2].partition("╰")[0]
    for name in ("--loop ", "--fps ", "--size "):
        assert name in own
        assert name not in writing


def test_config_tells_its_commands(dreamvid):
    text = dreamvid("config", "--help").out
    assert all(f"│ {name} " in text for name in MODELS)
    assert "--colour-drift" in dreamvid("config", "zoom", "--help").out


# The options of a command, printed and read back


TYPED = {
    "video": ["--mask", "m.png", "--end", "1:02.5", "--fps", "24000/1001", "--no-sound"],
    "zoom": ["--loop", "--fps", "30", "--seconds", "4", "--pan", "0,0", "--set", "prompt1=0.5"],
    "image": ["--size", "64x48", "--octaves", "3", "--no-metadata", "--image-prompt", "a b.png::2"],
}


@pytest.mark.parametrize("command", MODELS)
def test_config_prints_the_options_of_a_command_to_be_read_back(dreamvid, tmp_path, command):
    file = tmp_path / "c.toml"
    typed = ["--strength", "0.25", "-p", 'a "red" rose: café::2', *TYPED[command]]
    printed = dreamvid("config", command, *typed)
    assert (printed.status, printed.err) == (0, "")
    file.write_text(printed.out, encoding="utf-8")
    config = build_config(MODELS[command], file=file)
    assert config.model_dump()["strength"] == 0.25
    assert config != build_config(MODELS[command])
    assert dreamvid("config", command, "--config", file).out == printed.out
    named = {line.lstrip("# ").partition(" =")[0] for line in printed.out.splitlines()}
    assert {option.name for option in options(MODELS[command])} <= named


def test_config_without_a_command_prints_the_options_of_a_clip(dreamvid):
    assert dreamvid("config").out == dreamvid("config", "video").out
    assert dreamvid("config", "--steps", 3).out == dreamvid("config", "video", "--steps", 3).out


def test_config_of_an_unknown_command_is_refused(dreamvid):
    refused(dreamvid("config", "zoon"), 2, "No such command 'zoon'. Did you mean 'zoom'?")


# Hints


FILES = ("a.mp4", "b.mp4")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ([*FILES, "-p", "coral", "reef"], '-p "coral reef"'),
        ([*FILES, "--prompt", "a", "coral", "reef", "--steps", "3"], '--prompt "a coral reef"'),
        (["-p", "coral", "reef", *FILES], '-p "coral reef"'),
        ([*FILES, "-p", "ice", "-n", "red", "text"], '-n "red text"'),
    ],
)
def test_a_prompt_without_quotes(dreamvid, typed, hint):
    refused(dreamvid("video", *typed), 2, f"put the prompt in quotes: {hint}\n")


def test_a_word_too_many_elsewhere_is_no_prompt(dreamvid):
    refused(dreamvid("video", *FILES, "c.mp4", "-p", "ice"), 2, "Got unexpected extra argument")


@pytest.mark.parametrize("name", ["clip.mp4", "my clip.mov"])
def test_a_file_in_the_place_of_the_command(dreamvid, name):
    told = dreamvid(name, "out.mp4", "-p", "ice")
    hint = f"'{name}' stands where a command should; did you mean dreamvid video {name} …?\n"
    refused(told, 2, hint)


def test_a_folder_in_the_place_of_the_command(dreamvid, tmp_path):
    refused(dreamvid(tmp_path, "out.mp4"), 2, f"'{tmp_path}' stands where a command should; ")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["--width", "640"], "--size 640 sets the width"),
        (["--width=640"], "--size 640 sets the width"),
        (["--width"], "--size WIDTH sets the width"),
        (["--height", "360"], "--size WIDTHx360 sets both sides"),
    ],
)
def test_a_size_by_another_name(dreamvid, typed, hint):
    option = typed[0].partition("=")[0]
    refused(dreamvid("video", *FILES, *typed), 2, f"No such option: {option}; {hint}\n")


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (["vidoe", *FILES], "No such command 'vidoe'. Did you mean 'video'? (--help "),
        (["video", *FILES, "--strenght", "1"], "No such option: --strenght (Possible options: "),
        (["info", "a.mp4", "--jsn"], "No such option: --jsn (Possible options: --json) (--help "),
    ],
)
def test_a_slip_of_the_finger(dreamvid, typed, hint):
    refused(dreamvid(*typed), 2, hint)


def test_a_mistyped_option_is_to_be_looked_up_where_all_are(dreamvid):
    told = dreamvid("video", *FILES, "--strenght", "1").err
    assert "--strength" in told
    assert "(--help-all lists what is allowed)" in told


@pytest.mark.parametrize(
    ("option", "ways"),
    [
        ("-p", "-p=-fire or --prompt=-fire"),
        ("--prompt", "--prompt=-fire"),
        ("-n", "-n=-fire or --negative=-fire"),
        ("--to", "--to=-fire"),
    ],
)
def test_a_prompt_that_begins_with_a_dash(dreamvid, option, ways):
    told = dreamvid("video", *FILES, option, "-fire")
    refused(told, 2, f"{option}: '-fire' begins with a dash; allowed: a text, or {ways}\n")


@pytest.mark.parametrize("typed", ["-p=-fire", "--prompt=-fire"])
def test_a_dash_behind_the_sign_is_part_of_the_prompt(dreamvid, typed):
    assert 'prompt = ["-fire"]\n' in dreamvid("config", typed).out


def test_what_stands_behind_two_dashes_is_a_file(dreamvid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-p").touch()
    refused(dreamvid("info", "--", "-p", "-x"), 2, "Got unexpected extra argument")


# Completion


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("dreamvid vi", {"video"}),
        ("dreamvid video --spectrum", {"--spectrum-decay"}),
        ("dreamvid video --canvas p", {"pyramid"}),
        ("dreamvid image --device ", {"auto", "cpu", "cuda"}),
        ("dreamvid zoom --preset sp", {"spark"}),
        ("dreamvid video --prompt ", set()),
    ],
)
def test_a_shell_completes_commands_options_choices_and_presets(
    typed, offered, monkeypatch, capsys
):
    monkeypatch.setenv("_DREAMVID_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    with pytest.raises(SystemExit) as ended:
        run([])
    assert ended.value.code == 0
    assert set(capsys.readouterr().out.split()) == offered
