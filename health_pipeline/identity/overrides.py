"""The override file: what a person decided about identity (links, new accounts, merges), and from when."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from health_pipeline.contract.clocks import naive_utc
from health_pipeline.identity.names import normalise_domain
from health_pipeline.policy.documents import PolicyError, PolicyModel, load_document

FILE_NAME = "identity_overrides"
NEW_ACCOUNT = "new"
NO_ACCOUNT = "none"
_ACCOUNT_ID = re.compile(r"^acc_[0-9a-f]{12}$")


def account_id_of(source_system: str, source_instance: str, source_account_id: str) -> str:
    """Mint the id of an anchor record's account: `acc_` and 12 hexadecimal digits, the same everywhere."""
    # the parts are joined by a character that no id holds, so that ("a", "bc") and ("ab", "c") differ
    text = "\x1f".join((source_system, source_instance, source_account_id))
    return "acc_" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _moment(given: Any) -> Any:
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given.strip())
        except ValueError as error:
            raise ValueError("write a date as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM:SSZ") from error
    if isinstance(given, datetime):
        return naive_utc(given)
    if isinstance(given, date):
        return datetime(given.year, given.month, given.day)  # noqa: DTZ001 - naive means UTC by contract
    raise ValueError("write a date as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM:SSZ")


def _account_id(given: Any) -> Any:
    if not isinstance(given, str) or not _ACCOUNT_ID.match(given):
        raise ValueError("write an account id as the mart shows it, acc_ and 12 hexadecimal digits")
    return given


def _target(given: Any) -> Any:
    if given in (NEW_ACCOUNT, NO_ACCOUNT):
        return given
    if not isinstance(given, str) or not _ACCOUNT_ID.match(given):
        raise ValueError("write an account id (acc_ and 12 hexadecimal digits), `new` or `none`")
    return given


Moment = Annotated[datetime, BeforeValidator(_moment)]
AccountId = Annotated[str, BeforeValidator(_account_id)]
Text = Annotated[str, Field(min_length=1)]


class AnchorRecord(PolicyModel):
    """The record an account was minted from; a way to name an account without looking its id up."""

    source_system: Text
    source_instance: Text = "default"
    source_account_id: Text


class Override(PolicyModel):
    """One source record's account by a person's decision.

    `account_id` names the account; `new` mints one from the record itself, `none` says it belongs to none.
    `anchor` may name the account by its anchor record instead.
    """

    source_system: Text
    source_instance: Text = "default"
    source_account_id: Text
    account_id: Annotated[str, BeforeValidator(_target)] | None = None
    anchor: AnchorRecord | None = None
    effective_from: Moment
    decided_by: Text
    reason: Text

    @model_validator(mode="after")
    def _names_one_account(self) -> Override:
        if (self.account_id is None) == (self.anchor is None):
            raise ValueError("name the account once, by account_id (an id, `new` or `none`) or by anchor")
        return self

    @property
    def record(self) -> tuple[str, str, str]:
        """System, instance and id of the record decided about."""
        return self.source_system, self.source_instance, self.source_account_id

    @property
    def target(self) -> str:
        """The account's id, or `none`."""
        if self.account_id == NEW_ACCOUNT:
            return account_id_of(*self.record)
        if self.anchor is not None:
            return account_id_of(self.anchor.source_system, self.anchor.source_instance, self.anchor.source_account_id)
        assert self.account_id is not None
        return self.account_id


class Merge(PolicyModel):
    """Two accounts are one customer: `account_id` becomes an alias of `into_account_id` from a time on."""

    account_id: AccountId
    into_account_id: AccountId
    effective_from: Moment
    decided_by: Text
    reason: Text

    @model_validator(mode="after")
    def _two_accounts(self) -> Merge:
        if self.account_id == self.into_account_id:
            raise ValueError("account_id and into_account_id are the same account")
        return self


class Overrides(PolicyModel):
    """The whole file: overrides, merges, and domains that are no evidence here (resellers, itself)."""

    overrides: tuple[Override, ...] = ()
    merges: tuple[Merge, ...] = ()
    ignored_domains: tuple[str, ...] = ()

    @field_validator("ignored_domains")
    @classmethod
    def _are_domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        found = []
        for domain in domains:
            normal = normalise_domain(domain)
            if normal is None:
                raise ValueError(f"{domain!r} is not a domain; write one such as reseller.example")
            found.append(normal)
        return tuple(found)

    @model_validator(mode="after")
    def _decisions_agree(self) -> Overrides:
        twice = Counter((entry.record, entry.effective_from) for entry in self.overrides)
        for ((system, instance, record), moment), count in twice.items():
            if count > 1:
                raise ValueError(f"{system}/{instance}/{record} is decided {count} times from {moment}; keep one")
        into: dict[str, str] = {}
        for merge in self.merges:
            if merge.account_id in into:
                raise ValueError(f"{merge.account_id} is merged twice; keep one merge of it")
            into[merge.account_id] = merge.into_account_id
        for start, following in into.items():
            seen, account = {start}, following
            while account in into:
                if account in seen:
                    raise ValueError(f"the merges of {start} go round in a circle; remove one of them")
                seen.add(account)
                account = into[account]
        return self


def find_override_file(policy: Path | None, home: Path) -> Path | None:
    """Find the file in the policy folder, then in HEALTH_HOME; PolicyError where there are two."""
    places = [folder for folder in (policy, home) if folder is not None]
    found = [
        folder / f"{FILE_NAME}{suffix}"
        for folder in places
        for suffix in (".yaml", ".csv")
        if (folder / f"{FILE_NAME}{suffix}").is_file()
    ]
    if len(found) > 1:
        raise PolicyError(
            f"Identity overrides are in {' and in '.join(map(str, found))}; keep one file, remove the other."
        )
    return found[0] if found else None


def load_overrides(policy: Path | None, home: Path) -> Overrides:
    """Read and validate `identity_overrides.yaml` or `.csv`; no file means no override.

    Raises
    ------
    PolicyError
        In one sentence: the file, the row or entry, what is wrong and what it must be.
    """
    path = find_override_file(policy, home)
    if path is None:
        return Overrides()
    if path.suffix == ".yaml":
        return load_document(path.parent, FILE_NAME, Overrides).model
    return _read_csv(path)


CSV_COLUMNS = (
    "action", "source_system", "source_instance", "source_account_id", "account_id", "into_account_id",
    "effective_from", "decided_by", "reason",
)  # fmt: skip


def _read_csv(path: Path) -> Overrides:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        header = tuple(reader.fieldnames or ())
        if unknown := sorted(set(header) - set(CSV_COLUMNS)):
            raise PolicyError(f"{path} has an unknown column {unknown[0]!r}; the columns are {', '.join(CSV_COLUMNS)}.")
        overrides: list[Override] = []
        merges: list[Merge] = []
        for number, row in enumerate(reader, start=2):
            values = {name: text.strip() for name, text in row.items() if name and text and text.strip()}
            action = values.pop("action", "override")
            try:
                if action == "override":
                    overrides.append(Override.model_validate(values))
                elif action == "merge":
                    merges.append(Merge.model_validate(values))
                else:
                    raise PolicyError(f"{path} line {number}: action is {action!r}; write override or merge.")
            except ValidationError as error:
                raise PolicyError(f"{path} line {number}: {_problem(error)}.") from error
    try:
        return Overrides(overrides=tuple(overrides), merges=tuple(merges))
    except ValidationError as error:
        raise PolicyError(f"{path}: {_problem(error)}.") from error


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    shown = f" (it says {first['input']!r})" if isinstance(first["input"], str) else ""
    return f"{place}: {message}{shown}" if place else message
