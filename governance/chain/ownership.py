"""Whose the tables are: the audit chain belongs to nobody who can sign in, the rest to the portal.

Triggers refuse changes of the chain, but who owns a table may take its triggers away. So the chain's
tables and functions belong to `portal_audit`, a role without a sign-in, and the role that the portal
works with may read them, add anchors, and call the one function that appends (decision 0046).

Whatever the portal's role owns, a trigger say, runs as whoever touches it. So migrations run as that
role, and the owner of the database does no more than is done here: by the catalogue alone, over a
connection of its own that finds nothing in `public` by a bare name.
"""

from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

OWNER: Final = "portal_audit"
CHAIN: Final = ("governance_audit", "governance_audit_head", "governance_audit_anchor")
FUNCTIONS: Final = (
    "public.governance_audit_append(text, bigint, text, text, text, text, text, text, text)",
    "public.governance_audit_refuse()",
)

# Each with what ALTER calls it, and whose it is to be; what belongs to an extension or to another
# table follows those.
_STRAYED: Final = """
SELECT kind, spelt, heir FROM (
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
                          WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind,
           c.oid::regclass::text AS spelt, c.relowner AS has,
           CASE WHEN c.relname = ANY(%(chain)s) THEN %(keeper)s ELSE %(role)s END AS heir
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v', 'm')
      AND NOT EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
            AND (d.deptype = 'e' OR (d.deptype IN ('a', 'i') AND c.relkind = 'S')))
    UNION ALL
    SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner,
           CASE WHEN p.oid IN (SELECT to_regprocedure(one) FROM unnest(%(functions)s::text[]) AS one)
                THEN %(keeper)s ELSE %(role)s END
    FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
) AS found
WHERE has <> heir::regrole
"""
# Functions that go by the name of one of the chain's, and are none.
_NAMESAKES: Final = """
SELECT p.oid::regprocedure::text
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY(%(names)s::text[])
  AND p.oid NOT IN (
      SELECT to_regprocedure(one) FROM unnest(%(functions)s::text[]) AS one
      WHERE to_regprocedure(one) IS NOT NULL)
"""
_IS_KEPT: Final = """
SELECT EXISTS (
    SELECT FROM pg_class
    WHERE oid = to_regclass('public.governance_audit') AND relowner = %(owner)s::regrole)
"""


class OwnershipError(Exception):
    """The tables cannot be handed over; the message is a sentence without anything secret."""


def make_roles(owner_url: str, portal_url: str) -> None:
    """Make the two roles where they are missing, and let the portal's into the database.

    It gets the password that its URL says. By `owner_url`: a superuser, or who owns what is there and
    may make roles. Raises OwnershipError, psycopg.Error.
    """
    told = conninfo_to_dict(portal_url)
    role, password = _role_of(owner_url, portal_url), told.get("password")
    with connect_as_owner(owner_url) as db:
        _make_role(db, OWNER, "NOLOGIN")
        _make_role(db, role, "LOGIN")
        if password:
            db.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), Literal(password)))
        _let_in(db, role)


def make_ready(owner_url: str, portal_url: str) -> int:
    """Let the portal's role migrate: what was made before it belongs to it, but for a chain that is
    kept by `portal_audit` already. The roles are there (`make_roles`).

    Gives how many things changed hands. Raises OwnershipError, psycopg.Error.
    """
    role = _role_of(owner_url, portal_url)
    with connect_as_owner(owner_url) as db:
        is_kept = db.execute(_IS_KEPT, {"owner": OWNER}).fetchone() == (True,)
        return _hand(db, role, keeper=OWNER if is_kept else role)


def hand_over(owner_url: str, portal_url: str) -> int:
    """Hand the chain to `portal_audit` and all else to the role of `portal_url`.

    Done again it hands over what was made since; gives how many things changed hands. The roles are
    there (`make_roles`). Raises OwnershipError, psycopg.Error.
    """
    role = _role_of(owner_url, portal_url)
    with connect_as_owner(owner_url) as db:
        changed = _hand(db, role, keeper=OWNER)
        _grant_chain(db, role)
        return changed


def connect_as_owner(owner_url: str) -> psycopg.Connection[Any]:
    """A connection of the database's owner that finds nothing by a bare name but what is built in."""
    return psycopg.connect(owner_url, connect_timeout=5, options="-c search_path=pg_catalog")


def _hand(db: psycopg.Connection[Any], role: str, *, keeper: str) -> int:
    """Give each thing its owner, the chain to `keeper`.

    Once the chain is kept nothing is added to it from what the portal's role made: who makes a function
    that runs as its owner must not choose that owner.
    """
    names = sorted({one.partition("(")[0].removeprefix("public.") for one in FUNCTIONS})
    named = {"role": role, "owner": OWNER, "keeper": keeper, "chain": list(CHAIN),
             "functions": list(FUNCTIONS), "names": names}  # fmt: skip
    is_kept = db.execute(_IS_KEPT, named).fetchone() == (True,)
    wrong = [spelt for (spelt,) in db.execute(_NAMESAKES, named)]
    strayed = db.execute(_STRAYED, named).fetchall()
    if is_kept:
        wrong += [spelt for _, spelt, heir in strayed if heir == OWNER]
    if wrong:
        raise OwnershipError(
            f"{', '.join(sorted(wrong))} has a name of the audit chain's and is of somebody else. "
            "Look who made it, then drop it (docs/runbooks/audit.md)."
        )
    for kind, spelt, heir in strayed:  # spelt by the server
        parts = SQL(kind), SQL(spelt), Identifier(heir)
        db.execute(SQL("ALTER {} {} OWNER TO {}").format(*parts))
    return len(strayed)


def _role_of(owner_url: str, portal_url: str) -> str:
    role = str(conninfo_to_dict(portal_url).get("user") or "")
    if not role or role in {OWNER, conninfo_to_dict(owner_url).get("user")}:
        raise OwnershipError("DATABASE_URL must name another role than the owner of the tables.")
    return role


def _make_role(db: psycopg.Connection[Any], role: str, may: str) -> None:
    there = db.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    if there is None:
        less = SQL("NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS")
        parts = Identifier(role), SQL(may), less
        db.execute(SQL("CREATE ROLE {} {} {}").format(*parts))
    elif there[0]:
        raise OwnershipError(f"The role {role} is a superuser, for whom no table is another's.")
    mine = db.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if mine == (False,):
        db.execute(SQL("GRANT {} TO CURRENT_USER").format(Identifier(role)))  # to give it anything


def _let_in(db: psycopg.Connection[Any], role: str) -> None:
    """What the portal needs besides its own tables: days of the log are tables that it makes."""
    owns = "SELECT datdba = %s::regrole FROM pg_database WHERE datname = current_database()"
    if db.execute(owns, (role,)).fetchone() == (True,):
        raise OwnershipError(
            f"The role {role} owns the database, and so may drop what is another's in it."
        )
    names = Identifier(db.info.dbname), Identifier(role)
    db.execute(SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(*names))
    for who in (role, OWNER):
        db.execute(SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(Identifier(who)))
    # How long other sessions hold back readers, and how the server is set.
    db.execute(SQL("GRANT pg_monitor TO {}").format(Identifier(role)))


def _grant_chain(db: psycopg.Connection[Any], role: str) -> None:
    there = (
        "SELECT count(*) FROM pg_class"
        " WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace"
    )
    if db.execute(there, (list(CHAIN),)).fetchone() != (len(CHAIN),):
        raise OwnershipError("The tables of the audit chain are not there. Migrate first.")
    for table in CHAIN:
        rights = "SELECT, INSERT" if table == "governance_audit_anchor" else "SELECT"
        names = Identifier("public", table), Identifier(role)
        db.execute(SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(*names))
        db.execute(SQL("GRANT {} ON {} TO {}").format(SQL(rights), *names))
    for function in FUNCTIONS:
        db.execute(
            SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC, {}").format(SQL(function), Identifier(role))
        )
    append = SQL(FUNCTIONS[0]), Identifier(role)
    db.execute(SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(*append))
