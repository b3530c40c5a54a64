"""All checks in the order in which things need each other, and running them."""

from collections.abc import Callable, Iterator
from typing import Final

from portal.doctor import configuration, database, machine, redis_server, running
from portal.doctor.types import Check, Checked, State, unmeasured

CHECKS: Final = (
    Check("database", database.reachable),
    Check("database version", database.version, asks="database"),
    Check("database role", database.role, asks="database"),
    Check("migrations", database.migrations, asks="database"),
    Check("clocks", database.clocks, asks="database"),
    Check("durability", database.durability, asks="database"),
    Check("database settings", database.tuning, asks="database"),
    Check("database log", database.server_log, asks="database"),
    Check("partitions", database.partitions_ahead, asks="migrations"),
    Check("audit chain", database.audit_chain, asks="migrations", runs=True),
    Check("redis", redis_server.reachable),
    Check("redis password", redis_server.password),
    Check("redis eviction", redis_server.eviction, asks="redis"),
    Check("redis persistence", redis_server.persistence, asks="redis"),
    Check("workers", running.workers, asks="redis", runs=True),
    Check("beat", running.beat, asks="migrations", runs=True),
    Check("audit out", running.audit_out, asks="migrations", runs=True),
    Check("first accounts", database.first_people, asks="migrations"),
    Check("secret files", machine.secret_files),
    Check("privacy keys", database.privacy_keys, asks="migrations"),
    Check("erasures", database.erasures, asks="migrations"),
    Check("audit key", machine.audit_key),
    Check("audit anchors", machine.anchors),
    Check("disk", machine.disk),
    Check("libraries", machine.libraries),
    Check("https", configuration.https),
    Check("cookies", configuration.cookies),
    Check("debugging", configuration.debug),
    Check("allowed hosts", configuration.hosts),
    Check("mail", configuration.mail),
    Check("security contact", configuration.security_contact),
    Check("outbound", configuration.outbound),
    Check("traces", configuration.traces),
    Check("backups", configuration.backups),
)


def examine(
    *, before_start: bool = False, checks: tuple[Check, ...] = CHECKS,
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[Checked]:  # fmt: skip
    """Run every check; what needs something that failed is unmeasured. Writes nothing.

    `before_start` leaves out what only a running portal has. `tell` hears each name as it begins.
    """
    failed: set[str] = set()
    for check in checks:
        if before_start and check.runs:
            continue
        tell(check.name)
        if check.asks in failed:
            failed.add(check.name)
            finding = unmeasured(f"{check.asks} failed")
        else:
            finding = check.look()
        if finding.state is State.FAIL:
            failed.add(check.name)
        yield Checked(check.name, finding.state, finding.found, finding.todo)
