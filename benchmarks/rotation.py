"""Whether privacy keys can be renewed while the worker that does it is killed, and nothing is lost.

    .venv/bin/python benchmarks/rotation.py [--json] [--values 20000] [--tokens 2000] [--kills 100] [--seed 1]
    .venv/bin/python benchmarks/rotation.py [--json] --renew 1000000

Starts servers of its own, seals values and tokens, and renews the key-encryption key, again and again,
while the worker that wraps the data keys is killed (`benchmarks/rotating.py`) until that was done
`--kills` times; the last renewal goes to its end. All is read after each kill, some of it all the
while. After each renewal the old version is taken out of the keyring.

With `--renew` so many data keys are made and renewed once, by the job that a worker would do, with
nothing killed; `keys_per_second` counts the renewal alone, and a thousand of them are read after it.

`unreadable` holds what did not open, `left_behind` counts data keys that a finished renewal left under
an old version. Exit code 1 when there is one of either, or fewer kills than were wanted.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--values", type=int, default=20_000)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--renew", type=int, default=0, metavar="KEYS", help="one renewal of so many"
    )
    options = parser.parse_args()
    from portal.launcher.instance import servers_for_a_command
    from portal.launcher.steps import prepare

    place = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    try:
        with servers_for_a_command(place, prepare) as (_, environment):
            os.environ.update(environment)
            import django

            django.setup()
            result = _renew(options.renew) if options.renew else _measure(options)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if not options.json:
        for name, value in result.items():
            print(f"{name}: {value}")
    print(json.dumps(result))
    return 0 if result["ok"] else 1


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.rotating import Rotating, seal

    began = time.monotonic()
    kept = seal(options.values, options.tokens)
    keyring_file = Path(os.environ["PORTAL_PRIVACY_KEYS_FILE"])
    rotating = Rotating(kept, keyring_file, random.Random(options.seed), longest_seconds=1.0)
    found = rotating.go(options.kills)
    return {
        "values": options.values,
        "tokens": options.tokens,
        "kills": found.kills,
        "kills_in_a_step": found.kills_in_a_step,
        "rotations": found.rotations,
        "resumed": found.resumed,
        "reads": found.reads,
        "full_reads": found.full_reads,
        "unreadable": len(found.unreadable),
        "first_unreadable": found.unreadable[:10],
        "left_behind": found.left_behind,
        "seconds": round(time.monotonic() - began, 1),
        "seed": options.seed,
        "ok": not found.unreadable and not found.left_behind and found.kills >= options.kills,
    }


def _renew(count: int) -> dict[str, Any]:
    from benchmarks.rotating import read, renew, seal

    began = time.monotonic()
    kept = seal(min(count, 1000), 100)
    seconds, steps = renew(count, Path(os.environ["PORTAL_PRIVACY_KEYS_FILE"]), say=_say)
    from governance.models import PrivacyKey
    from governance.privacy import keys
    from governance.services import privacy_keys

    unreadable = read(kept, range(len(kept.texts)), range(len(kept.tokens)))
    held = PrivacyKey.objects.count()
    left = held - privacy_keys.counts()[keys.ring().current]
    return {
        "keys": held,
        "steps": steps,
        "seconds": round(seconds, 1),
        "keys_per_second": round(held / seconds),
        "unreadable": len(unreadable),
        "left_behind": left,
        "seconds_in_all": round(time.monotonic() - began, 1),
        "ok": not unreadable and not left,
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
