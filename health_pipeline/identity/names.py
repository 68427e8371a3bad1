"""Names and domains made comparable: what counts as the same domain, and how alike two company names are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from health_pipeline.contract.yaml_text import parse_yaml

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_DOMAIN = re.compile(r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$")
_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")


@cache
def _lists() -> dict[str, frozenset[str]]:
    document = parse_yaml(Path(__file__).with_name("names.yaml").read_text(encoding="utf-8"))
    return {name: frozenset(entries) for name, entries in document.items()}


def free_mail_domains() -> frozenset[str]:
    """Return the domains that many companies share, from `names.yaml`."""
    return _lists()["free_mail_domains"]


@lru_cache(maxsize=1 << 16)
def normalise_domain(text: str | None) -> str | None:
    """Bring a domain, a web address or a mail address to one form; None where it holds no domain.

    Examples
    --------
    >>> normalise_domain("https://www.Acme.example/about?x=1")
    'acme.example'
    >>> normalise_domain("n/a") is None
    True
    """
    if text is None:
        return None
    host = _SCHEME.sub("", text.strip().lower())
    host = re.split(r"[/?#\s]", host, maxsplit=1)[0].rsplit("@", 1)[-1]
    host = host.split(":", 1)[0].rstrip(".").removeprefix("www.")
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    return host if _DOMAIN.match(host) else None


def normalise_name(text: str | None) -> str:
    """Bring a company name to lower-case words without accents, punctuation and legal form.

    Examples
    --------
    >>> normalise_name("The Müller & Söhne GmbH")
    'muller sohne'
    """
    if not text:
        return ""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    # "S.A." and "B.V." are one word each
    words = _NOT_A_LETTER.sub(" ", plain.replace(".", "")).split()
    kept = [word for word in words if word not in _lists()["company_forms"]]
    return " ".join(kept or words)


def _trigrams(names: Sequence[str], vocabulary: dict[str, int]) -> sparse.csr_matrix:
    rows: list[int] = []
    columns: list[int] = []
    for row, name in enumerate(names):
        padded = f"  {name} "
        grams = {padded[start : start + 3] for start in range(len(padded) - 2)} if name else set()
        for gram in sorted(grams):
            rows.append(row)
            columns.append(vocabulary.setdefault(gram, len(vocabulary)))
    ones = np.ones(len(rows), dtype=np.float32)
    # wide enough for every trigram of both sides
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(names), max(len(vocabulary), 1)))


def most_alike(
    names: Sequence[str], candidates: Sequence[str], block: int = 512
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Find for each normalised name the candidate with the most trigrams in common.

    The figure is the Dice coefficient over letter trigrams (Dice, "Measures of the Amount of Ecologic
    Association Between Species", Ecology 26, 1945): 1 for the same name, 0 for nothing in common.

    Parameters
    ----------
    names : length n, normalised
    candidates : length m, normalised; of equally alike ones the first wins
    block : names compared at once, which bounds the memory

    Returns
    -------
    best : (n,) index into `candidates`, -1 where nothing is in common
    likeness : (n,) 0 to 1
    """
    best = np.full(len(names), -1, dtype=np.int64)
    likeness = np.zeros(len(names))
    if not len(names) or not len(candidates):
        return best, likeness
    vocabulary: dict[str, int] = {}
    right = _trigrams(candidates, vocabulary)
    left = _trigrams(names, vocabulary)[:, : right.shape[1]]
    sizes_right = np.diff(right.indptr).astype(float)
    # a trigram that only the name has still counts against it
    sizes_left = np.array([len({f"  {n} "[s : s + 3] for s in range(len(n) + 1)}) if n else 0 for n in names])
    transposed = right.T.tocsr()
    for start in range(0, len(names), block):
        common = (left[start : start + block] @ transposed).tocsr()
        for offset in range(common.shape[0]):
            part = slice(common.indptr[offset], common.indptr[offset + 1])
            columns, counts = common.indices[part], common.data[part]
            if not len(columns):
                continue
            dice = 2.0 * counts / (sizes_left[start + offset] + sizes_right[columns])
            winner = min(np.flatnonzero(dice == dice.max()), key=lambda place: columns[place])
            best[start + offset], likeness[start + offset] = columns[winner], float(dice[winner])
    return best, likeness
