"""The command line: a file a verb, and no logic of their own.

Results go to stdout, progress to stderr and only to a terminal. Exit codes: 0 done, 1 it failed, 2 the command makes no
sense, 130 after Ctrl-C. Tracebacks only with --debug.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

EPILOG = "New here? orthogon start digits"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        code = app()(words, prog_name="orthogon", standalone_mode=False)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        sys.exit(explain(error))
    if code == 130:
        print("Stopped.", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def app():  # type: ignore[no-untyped-def]  # a click group, whose import is not worth its name
    """The group of all verbs, in the order of the user's loop."""
    import typer

    from orthogon.cli import (
        compare,
        data,
        describe,
        diagnose,
        ensemble,
        errors,
        evaluate,
        export,
        learn,
        next,
        predict,
        runs,
        start,
        train,
        tune,
        weights,
    )

    group = typer.Typer(
        name="orthogon",
        help="Strategy-driven deep learning: a first system in minutes, what limits it, what to do next.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @group.callback(invoke_without_command=True)
    def root(
        version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
    ) -> None:
        if version:
            from orthogon import __version__

            print(f"orthogon {__version__}")
            raise typer.Exit

    looking = (diagnose, errors, next, tune, runs, compare, ensemble, describe)
    for verb in (start, train, *looking, predict, evaluate, export, learn):
        group.command(verb.__name__.rpartition(".")[2], help=verb.__doc__)(verb.run)
    group.add_typer(data.group, name="data", help=data.__doc__)
    group.add_typer(weights.group, name="weights", help=weights.__doc__)
    return typer.main.get_command(group)


def explain(error: Exception) -> int:
    """Say what went wrong on stderr; the exit code."""
    from orthogon.errors import OrthogonError

    if isinstance(error, OrthogonError):
        say_error(_from_here(str(error)))
        return error.exit_code
    if type(error).__name__ == "Abort":
        say_error("Stopped.")
        return 130
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if isinstance(code, int):  # a usage error of the command-line library, which shows itself
        if show is not None:
            show()
        return code
    if isinstance(error, BrokenPipeError):
        return 0
    if isinstance(error, OSError) and error.errno is not None:
        say_error(_from_here(_of_the_system(error)))
        return 1
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "out of memory" in str(error).lower()):
        say_error(
            f"out of memory: {error}\nUse fewer or smaller examples, close other programs, or take a larger machine."
        )
        return 1
    say_error(
        f"This should not have happened: {type(error).__name__}: {error}\n"
        "It is a fault of Orthogon, not yours. Run the command again with --debug and report what it prints."
    )
    return 1


def _of_the_system(error: OSError) -> str:
    """What the system refused, where, and what helps."""
    remedy = {
        errno.ENOSPC: "Make room on the disk. A run that has begun goes on with: orthogon train --resume",
        errno.EDQUOT: "Make room on the disk. A run that has begun goes on with: orthogon train --resume",
        errno.EACCES: "Take a folder that you may write to: --project DIR for a project, -o FILE for a result.",
        errno.EPERM: "Take a folder that you may write to: --project DIR for a project, -o FILE for a result.",
        errno.EROFS: "Take a folder that you may write to: --project DIR for a project, -o FILE for a result.",
    }.get(error.errno or 0, "Check that the path exists and is of the right kind.")
    what = error.strerror or str(error)
    what = what[0].lower() + what[1:]
    return f"{error.filename}: {what}\n{remedy}" if error.filename else f"{what}\n{remedy}"


def _from_here(text: str) -> str:
    """Paths below the current folder as a person standing there writes them."""
    here = os.path.join(os.getcwd(), "")
    return text.replace(here, "") if len(here) > 1 else text


def say_error(text: str) -> None:
    """The message on stderr, its first line marked."""
    head, _, rest = text.partition("\n")
    colour = sys.stderr.isatty()
    mark = "\033[1;31merror:\033[0m" if colour else "error:"
    print(f"{mark} {head}" + (f"\n{rest}" if rest else ""), file=sys.stderr)
