"""Keeps every policy document that judged, by the hash of its content, so that an old score can be replayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from health_pipeline.contract.yaml_text import parse_yaml
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.documents import BUILT_IN, Document, PolicyError, content_hash, document_path, load_document
from health_pipeline.policy.health_score import HealthScorePolicy

NotKept = Literal["policy_not_kept", "policy_not_readable"]


@dataclass(frozen=True)
class JudgingPolicy:
    """The two documents that judge a score, as they were."""

    health_score: HealthScorePolicy
    company: CompanyPolicy


class KeptPolicyError(LookupError):
    """A kept policy can't be replayed; `reason` is its code, the message says where it should be and what is wrong."""

    def __init__(self, reason: NotKept, message: str) -> None:
        super().__init__(message)
        self.reason: NotKept = reason


@dataclass(frozen=True)
class KeptPolicies:
    """A folder that only grows: `documents/<name>-<hash>.yaml`; `versions/<policy_version>.yaml` names two of them."""

    folder: Path

    def keep(self, version: str, documents: Iterable[Document[Any]], policy_folder: Path | None = None) -> None:
        """Keep the documents that make a `policy_version`, and the others of the policy folder as they are now.

        The first text of a content stays: keeping again changes nothing, whatever its comments say meanwhile.

        Parameters
        ----------
        version : the `policy_version` on the rows that the documents judge
        documents : the documents that judge
        policy_folder : where the documents in use are (HEALTH_POLICY); None: the built-in ones
        """
        named = {}
        for document in documents:
            named[document.name] = document.hash
            self._write(self._document(document.name, document.hash), document.text)
        for name in sorted(path.stem for path in BUILT_IN.glob("*.yaml")):
            text = document_path(policy_folder, name).read_text(encoding="utf-8")
            self._write(self._document(name, content_hash(parse_yaml(text))), text)
        self._write(self._version(version), yaml.safe_dump(named))

    def read(self, version: str) -> JudgingPolicy:
        """The documents that judged under a `policy_version`.

        Raises
        ------
        KeptPolicyError
            If they are not there, are not what their name says, or today's code can't read them.
        """
        path = self._version(version)
        if not path.is_file():
            raise KeptPolicyError("policy_not_kept", f"{path} is not there, so what policy {version} said is not known")
        named: Mapping[str, str] = parse_yaml(path.read_text(encoding="utf-8"))
        return JudgingPolicy(
            self._read("health_score", named["health_score"], HealthScorePolicy),
            self._read("company", named["company"], CompanyPolicy),
        )

    def _read(self, name: str, hash_: str, model: type[Any]) -> Any:
        path = self._document(name, hash_)
        if not path.is_file():
            raise KeptPolicyError("policy_not_kept", f"{path} is not there; restore it from a copy of {self.folder}")
        try:
            document = load_document(path.parent, path.stem, model)
        except PolicyError as error:
            raise KeptPolicyError("policy_not_readable", f"today's code can't read a kept policy: {error}") from error
        if document.hash != hash_:
            raise KeptPolicyError("policy_not_kept", f"{path} was changed: its content is {document.hash}; restore it")
        return document.model

    def _document(self, name: str, hash_: str) -> Path:
        return self.folder / "documents" / f"{name}-{hash_}.yaml"

    def _version(self, version: str) -> Path:
        return self.folder / "versions" / f"{version}.yaml"

    @staticmethod
    def _write(path: Path, text: str) -> None:
        if path.is_file():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
