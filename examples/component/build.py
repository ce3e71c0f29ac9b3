"""Make `visits.wasm` of app.py. componentize-py comes with pyworkerd; it takes some seconds, and downloads nothing."""

import sys
from pathlib import Path

import componentize_py

HERE = Path(__file__).parent
OUTPUT = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "visits.wasm"

sys.argv = [
    "componentize-py", "--quiet", "--wit-path", str(HERE / "wit"), "--world", "visits",
    "componentize", "--python-path", str(HERE), "app", "--output", str(OUTPUT),
]  # fmt: skip
sys.exit(componentize_py.script())
