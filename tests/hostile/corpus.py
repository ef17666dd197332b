"""The whole corpus of hostile models.

python -m tests.hostile.corpus DIRECTORY      writes every model, for other tools to read
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hostile.advisories import ADVISORIES
from tests.hostile.bombs import BOMBS
from tests.hostile.case import Cases
from tests.hostile.structure import STRUCTURE

REFUSED: Cases = {**ADVISORIES, **STRUCTURE, **BOMBS}
"""What is refused before anything is done with it."""


def main() -> None:
    directory = Path(sys.argv[1])
    for number, (name, case) in enumerate(REFUSED.items()):
        path = case.write(directory / f"{number:03}")
        sys.stdout.write(f"{path}  {name}  {case.reference}\n")


if __name__ == "__main__":
    main()
