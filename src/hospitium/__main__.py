"""The command `hospitium`: reads the settings when a command needs them, and turns every failure into a sentence and an exit
code (docs/reference/cli.md)."""

from __future__ import annotations

import sys

import asyncpg
import click

from hospitium import settings
from hospitium.app import Composition, PortTaken, RestoredElsewhere
from hospitium.doors.cli.main import cli
from hospitium.engine.errors import Invalid, Refusal
from hospitium.storage.backup import BackupProblem
from hospitium.storage.database import DatabaseUnavailable
from hospitium.storage.embedded import EmbeddedFailure
from hospitium.storage.keyring import KeyProblem
from hospitium.storage.schema import WrongSchema

REFUSED, MISUSED, CANT_RUN = 1, 2, 3


def main() -> None:
    """Run the command line; never returns."""
    try:
        code = cli.main(
            prog_name="hospitium", standalone_mode=False, obj=lambda: Composition(settings.read())
        )
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as misuse:
        misuse.show()
        code = misuse.exit_code
    except Invalid as refusal:
        code = _say(str(refusal), MISUSED)
    except Refusal as refusal:
        code = _say(refusal.message, REFUSED)
    except (
        settings.WrongSetting,
        EmbeddedFailure,
        KeyProblem,
        WrongSchema,
        PortTaken,
        RestoredElsewhere,
    ) as problem:
        code = _say(str(problem), CANT_RUN)
    except BackupProblem as problem:
        code = _say(str(problem), REFUSED)
    except DatabaseUnavailable as problem:
        code = _say(
            f"the database can't be reached ({problem}): is it running, and is DATABASE_URL right?", CANT_RUN
        )
    except asyncpg.PostgresError as problem:
        # Its message may hold values; its kind says enough to look into the server's log.
        code = _say(f"the database refuses that ({type(problem).__name__})", CANT_RUN)
    except UnicodeError:
        code = _say("what was given is not text in UTF-8", MISUSED)
    sys.exit(code if isinstance(code, int) else 0)


def _say(sentence: str, code: int) -> int:
    click.echo(f"hospitium: {sentence}", err=True)
    return code


if __name__ == "__main__":
    main()
