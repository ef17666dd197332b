"""What the CUDA kernels in a built library became: registers, spills, width of loads and stores.

    python tests/ops/sass.py          writes benchmarks/results/kernels_sass.json

Needs ``cuobjdump`` and ``nvdisasm``, of CUDA or of PyPI's nvidia-cuda-cuobjdump and
nvidia-cuda-nvdisasm, on PATH; no GPU, no driver and no compiler.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from normonnx.runtime.library import library_facts  # noqa: E402

_RESULTS = _ROOT / "benchmarks" / "results" / "kernels_sass.json"
_WHEELS = Path(sysconfig.get_path("purelib")) / "nvidia" / "cu13" / "bin"
_FATBIN = struct.Struct("<IHHQ")  # magic, version, size of this header, size of what follows
_MAGIC = 0xBA55ED50


@dataclass(frozen=True, slots=True)
class Code:
    """One kernel for one architecture.

    Attributes:
        registers: per thread.
        stack: bytes per thread; a spill takes some.
        spills: instructions that read or write local memory.
        wide_loads: loads of 16 bytes from global memory.
        wide_stores: stores of 16 bytes to it.
        instructions: all of them.
    """

    registers: int
    stack: int
    spills: int
    wide_loads: int
    wide_stores: int
    instructions: int


def tool() -> str | None:
    """Where cuobjdump is, with nvdisasm beside it or on PATH."""
    path = os.pathsep.join((os.environ.get("PATH", ""), str(_WHEELS)))
    return shutil.which("cuobjdump", path=path) if shutil.which("nvdisasm", path=path) else None


def codes(library: Path, architecture: str) -> dict[str, Code]:
    """By kernel, what it is on ``architecture``, as in "90"."""
    with tempfile.TemporaryDirectory() as room:
        fatbin = Path(room) / "kernels.fatbin"
        fatbin.write_bytes(_fatbin(library.read_bytes()))
        usage = _cuobjdump("-res-usage", architecture, fatbin)
        listing = _cuobjdump("-sass", architecture, fatbin)
    resources = {
        name: (int(registers), int(stack))
        for name, registers, stack in re.findall(r"Function (\w+):\s+REG:(\d+) STACK:(\d+)", usage)
    }
    found = {}
    for name, body in re.findall(
        r"Function : (\w+)\n(.*?)(?=Function : |\Z)", listing, flags=re.DOTALL
    ):
        operations = Counter(re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][\w.]*)", body))

        def count(start: str, end: str = "", counted: Counter[str] = operations) -> int:
            return sum(n for one, n in counted.items() if one.startswith(start) and end in one)

        registers, stack = resources[name]
        found[name.removeprefix("normonnx_")] = Code(
            registers,
            stack,
            count("LDL") + count("STL"),
            count("LDG", ".128"),
            count("STG", ".128"),
            operations.total(),
        )
    return found


def _fatbin(library: bytes) -> bytes:
    start = library.index(struct.pack("<I", _MAGIC))
    _, _, header, size = _FATBIN.unpack_from(library, start)
    return library[start : start + header + size]


def _cuobjdump(what: str, architecture: str, fatbin: Path) -> str:
    program = tool()
    assert program is not None, "there is no cuobjdump"
    path = os.pathsep.join((str(Path(program).parent), os.environ.get("PATH", "")))
    done = subprocess.run(
        [program, what, "-arch", f"sm_{architecture}", str(fatbin)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def main() -> int:
    if tool() is None:
        sys.stdout.write("there is no cuobjdump, or no nvdisasm: see the top of this file\n")
        return 4
    facts = library_facts()
    kernels = {
        architecture: {name: asdict(code) for name, code in codes(facts.path, architecture).items()}
        for architecture in facts.cuda_architectures
        if architecture != "ptx"
    }
    made = {
        "date": datetime.now(UTC).date().isoformat(),
        "library": facts.version,
        "kernels": kernels,
    }
    _RESULTS.write_text(json.dumps(made, indent=1) + "\n")
    for architecture, by_name in kernels.items():
        most = max(one["registers"] for one in by_name.values())
        spills = sum(one["spills"] for one in by_name.values())
        counted = f"{len(by_name)} kernels, at most {most} registers, {spills} spills"
        sys.stdout.write(f"sm_{architecture}: {counted}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
