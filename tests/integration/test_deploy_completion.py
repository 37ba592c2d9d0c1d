"""The completions of `respgate completion`, as bash, zsh and fish work with them."""

import os
import pty
import shutil
import subprocess

import pytest

from harness import respgate_binary, run_respgate, wait_until

# What is typed, some of what must be offered, and a beginning that nothing offered may have.
LINES = [
    ("respgate ", {"run", "check", "wait", "replay", "completion"}, "-"),
    ("respgate ver", {"version"}, "run"),
    ("respgate run --", {"--set", "--expect", "--override", "--help"}, "--json"),
    ("respgate config --", {"--origins", "--example", "--json", "--set"}, "--expect"),
    ("respgate wait --for ", {"ready", "live", "backend="}, "-"),
    ("respgate run --set listen.ma", {"listen.max_clients=", "listen.max_args="}, "backend"),
    ("respgate run --set ", {"backend.", "backend.url=", "limit.", "listen.password_file=", "log.level="},
     "listen.password="),
    ("respgate run --override ", {"backend"}, "-"),
    ("respgate completion ", {"bash", "zsh", "fish"}, "run"),
    ("respgate run -c fi", {"file one.ini"}, "-"),
    ("respgate replay fi", {"file one.ini"}, "run"),
]


def clean_env(directory, **more):
    """Nothing of the machine's shell settings."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(directory), "TERM": "dumb", "LC_ALL": "C.UTF-8", **more}


@pytest.fixture
def directory(tmp_path):
    """Where the shells are: the program by its name, its completions, and a file that can be named."""
    for shell in ("bash", "zsh", "fish"):
        done = run_respgate("completion", shell)
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / f"completion.{shell}").write_text(done.stdout)
    (tmp_path / "file one.ini").touch()
    return tmp_path


def ask_bash(directory, lines):
    """Calls the function that `complete` was given, as readline would."""
    script = ["source completion.bash"]
    for line in lines:
        words = line.split(" ")
        quoted = " ".join(f"'{word}'" for word in words)
        script += [f"COMP_WORDS=({quoted}) COMP_CWORD={len(words) - 1}", "_respgate",
                   "printf '%s\\n' \"${COMPREPLY[@]}\"", "echo =="]
    done = subprocess.run(["bash", "--norc", "-u", "-c", "\n".join(script)], cwd=directory, env=clean_env(directory),
                          capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return [set(answer.split("\n")) - {""} for answer in done.stdout.split("==\n")[:-1]]


def ask_fish(directory, lines):
    """`complete -C` tells candidates with a tab and their explanation."""
    script = ["source completion.fish"]
    for line in lines:
        script += [f"complete -C '{line}'", "echo =="]
    done = subprocess.run(["fish", "--no-config", "-c", "\n".join(script)], cwd=directory, env=clean_env(directory),
                          capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return [{candidate.split("\t")[0].replace("\\", "") for candidate in answer.split("\n")} - {""}
            for answer in done.stdout.split("==\n")[:-1]]


ZSHRC = """
unsetopt beep auto_list; PS1=
autoload -U compinit; compinit -D -u
source completion.zsh
compadd() {
    local -a hits
    if [[ ${@[1,(i)(-|--)]} != *-[OAD]\\ * ]]; then
        builtin compadd -A hits "$@"
        (( $#hits )) && print -rl -- $hits >>hits
    fi
    builtin compadd "$@"
}
told() { print -r -- "==" >>hits; comppostfuncs=(told) }
comppostfuncs=(told)
"""


def ask_zsh(directory, lines):
    """Completion needs the line editor, and that a terminal: what compadd is given is written to a file."""
    (directory / ".zshrc").write_text(ZSHRC)
    hits = directory / "hits"
    hits.touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.execve(shutil.which("zsh"), ["zsh", "-d", "-i"], clean_env(directory, ZDOTDIR=str(directory)))
    try:
        for i, line in enumerate(lines):
            os.write(terminal, b"\x15" + line.encode() + b"\t")
            wait_until(lambda: hits.read_text().count("==\n") > i, what=lambda: f"an answer to {line!r}")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    answers = hits.read_text().replace("\\", "").split("==\n")[:-1]
    return [set(answer.split("\n")) - {""} for answer in answers]


@pytest.mark.parametrize("ask", [ask_bash, ask_zsh, ask_fish])
def test_the_shell_offers_what_fits(directory, ask):
    answers = ask(directory, [line for line, _, _ in LINES])
    assert len(answers) == len(LINES)
    for (line, expected, wrong), offered in zip(LINES, answers):
        assert expected <= offered, f"{line!r}: {expected - offered} not in {offered}"
        assert not [one for one in offered if one.startswith(wrong)], f"{line!r}: {offered}"


def test_every_subcommand_and_flag_of_the_help_is_completed(directory):
    usage = run_respgate("--help").stdout
    subcommands = {line.removeprefix("usage:").split()[1] for line in usage.splitlines()
                   if line.removeprefix("usage:").lstrip().startswith("respgate ")}
    assert ask_bash(directory, ["respgate "]) == [subcommands] and len(subcommands) > 10
    for subcommand in subcommands:
        assert run_respgate(subcommand, "--help").returncode == 0
    flags = {word.strip("[]") for word in usage.split() if word.startswith(("[--", "--"))}
    offered = ask_bash(directory, [f"respgate {subcommand} --" for subcommand in sorted(subcommands)])
    assert flags <= set().union(*offered)


def test_another_shell_is_a_usage_error():
    done = run_respgate("completion", "csh")
    assert done.returncode == 64
    assert "bash, zsh and fish" in done.stderr


def test_what_is_installed_is_what_it_prints():
    place = os.path.join(os.path.dirname(respgate_binary()), "deploy")
    for shell, name in (("bash", "respgate"), ("zsh", "_respgate"), ("fish", "respgate.fish")):
        assert open(os.path.join(place, name), encoding="utf-8").read() == run_respgate("completion", shell).stdout
