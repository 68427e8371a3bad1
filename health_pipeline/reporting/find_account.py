"""Which account a person means: our id, a unique part of its name, or the id a source knows it by."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
SHOWN = 5


def find_account(asked: str, accounts: Sequence[Row], links: Sequence[Row]) -> str:
    """The account id that `asked` names.

    Looked up in this order, and the first that answers counts: our id; the name as a whole; a source's id; a part of
    the name. Upper and lower case do not matter.

    Parameters
    ----------
    asked : what the person wrote
    accounts : rows of `accounts` (account_id, account_name, merged_into_account_id)
    links : rows of `account_links` (account_id, source_kind, source_system, source_account_id)

    Returns
    -------
    str
        An account's id; of a merged account the one it became.

    Raises
    ------
    LookupError
        If nothing or more than one account fits; one sentence with the closest ones.
    """
    wanted = asked.strip().casefold()
    if not wanted:
        raise LookupError("Name an account: its id, a part of its name, or the id a source knows it by.")
    merged = {str(row["account_id"]): row.get("merged_into_account_id") for row in accounts}
    names = {str(row["account_id"]): str(row.get("account_name") or "") for row in accounts}
    by_link: dict[str, set[str]] = {}
    for link in links:
        by_link.setdefault(str(link["source_account_id"]).casefold(), set()).add(str(link["account_id"]))
    answers = (
        {account_id for account_id in names if account_id.casefold() == wanted},
        {account_id for account_id, name in names.items() if name.casefold() == wanted},
        by_link.get(wanted, set()),
        {account_id for account_id, name in names.items() if wanted in name.casefold()},
    )
    for found in answers:
        surviving = {str(merged.get(account_id) or account_id) for account_id in found}
        if len(surviving) == 1:
            return surviving.pop()
        if surviving:
            shown = sorted(surviving, key=lambda account_id: (names.get(account_id, ""), account_id))
            raise LookupError(f"{asked!r} fits {len(shown)} accounts: {_listed(shown, names)}; write the id of one.")
    raise LookupError(_unknown(asked, wanted, names, by_link))


def _unknown(asked: str, wanted: str, names: Mapping[str, str], by_link: Mapping[str, set[str]]) -> str:
    by_name = {name.casefold(): account_id for account_id, name in sorted(names.items(), reverse=True) if name}
    by_id = {account_id.casefold(): account_id for account_id in names}
    candidates = {**{key: min(found) for key, found in by_link.items()}, **by_name, **by_id}
    close = difflib.get_close_matches(wanted, list(candidates), n=SHOWN, cutoff=0.5)
    if not close:
        # a short part never resembles a whole name: compare with the names' words
        words = {word: account_id for name, account_id in by_name.items() for word in name.split()}
        close = difflib.get_close_matches(wanted, list(words), n=SHOWN, cutoff=0.6)
        candidates = words
    found = list(dict.fromkeys(candidates[key] for key in close))[:SHOWN]
    hint = f"the closest are {_listed(found, names)}" if found else f"none of the {len(names)} accounts comes close"
    return f"No account is called {asked!r}, by id, name or a source's id; {hint}."


def _listed(account_ids: Sequence[str], names: Mapping[str, str]) -> str:
    shown = [
        f"{account_id} ({names[account_id]})" if names.get(account_id) else account_id for account_id in account_ids
    ]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
