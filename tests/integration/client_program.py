"""Runs a client program to its end and restarts its Redis when the program asks for it by a line on stdout."""

import queue
import subprocess
import threading

SILENCE_LIMIT_S = 120


def lines_of(stream):
    """A queue of the stream's lines as they come, then None."""
    lines = queue.Queue()

    def read():
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def follow(child, redis_server):
    """Answer the program's requests until it ends; gives all else it said."""
    said, lines = [], lines_of(child.stdout)
    while (line := lines.get(timeout=SILENCE_LIMIT_S)) is not None:
        if line == "@restart\n":
            redis_server.restart()
            child.stdin.write("done\n")
            child.stdin.flush()
        else:
            said.append(line)
    return "".join(said)


def run_program(argv, redis_server, **options):
    """Its output, of both kinds; fails with that unless it ends with exit code 0."""
    child = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             **options)
    try:
        said = follow(child, redis_server)
        assert child.wait(10) == 0, f"{argv} ended with {child.returncode}:\n{said}"
        return said
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
