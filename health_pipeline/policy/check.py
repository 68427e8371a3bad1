"""Every error of every policy document at once, a sentence each, and what is allowed but probably not meant."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError, create_model

from health_pipeline.contract.closest import closest
from health_pipeline.contract.yaml_text import parse_yaml
from health_pipeline.policy.capacity import CapacityPolicy
from health_pipeline.policy.company import CompanyPolicy
from health_pipeline.policy.defect_themes import DefectThemePolicy
from health_pipeline.policy.documents import PolicyModel, content_hash, document_path
from health_pipeline.policy.exception_queue import ExceptionQueuePolicy
from health_pipeline.policy.health_score import HealthScorePolicy
from health_pipeline.policy.personas import PersonaPolicy
from health_pipeline.policy.pilot import PilotPolicy
from health_pipeline.policy.playbooks import PlaybookPolicy
from health_pipeline.policy.review import ReviewPolicy
from health_pipeline.policy.risk_phrases import RiskPhrasesPolicy
from health_pipeline.policy.risk_review import RiskReviewPolicy
from health_pipeline.policy.risk_signals import RiskSignalPolicy
from health_pipeline.policy.segment_review import SegmentReviewPolicy
from health_pipeline.policy.segmentation import SegmentationPolicy
from health_pipeline.policy.team_segments import TeamSegmentsPolicy
from health_pipeline.policy.validation import ValidationPolicy

DOCUMENTS: dict[str, type[PolicyModel]] = {
    "company": CompanyPolicy,
    "health_score": HealthScorePolicy,
    "segmentation": SegmentationPolicy,
    "segment_review": SegmentReviewPolicy,
    "personas": PersonaPolicy,
    "team_segments": TeamSegmentsPolicy,
    "playbooks": PlaybookPolicy,
    "capacity": CapacityPolicy,
    "defect_themes": DefectThemePolicy,
    "risk_signals": RiskSignalPolicy,
    "validation": ValidationPolicy,
    "review": ReviewPolicy,
    "risk_phrases": RiskPhrasesPolicy,
    "risk_review": RiskReviewPolicy,
    "exception_queue": ExceptionQueuePolicy,
    "pilot": PilotPolicy,
}
# Read from the same folder by other rooms.
OTHER_FILES = ("identity_overrides.yaml", "identity_overrides.csv")


@dataclass(frozen=True)
class Finding:
    """Something to mend (`error`) or to look at (`warning`): file, place in it, what is wrong, what is allowed."""

    severity: Literal["error", "warning"]
    file: Path
    place: str
    message: str

    def __str__(self) -> str:
        """One sentence."""
        where = f"{self.file}: {self.place}" if self.place else str(self.file)
        return f"{where}: {self.message.rstrip('.')}."


@dataclass(frozen=True)
class CheckedDocument:
    """Which file is used for a document, and what is in it; `model` and `hash` are None where it can't be used."""

    name: str
    file: Path
    is_own: bool
    model: PolicyModel | None
    hash: str | None
    findings: tuple[Finding, ...]


def check_documents(folder: Path | None) -> list[CheckedDocument]:
    """Check every document as a run with that policy folder would read it.

    Parameters
    ----------
    folder : HEALTH_POLICY; None: the built-in documents

    Returns
    -------
    list of CheckedDocument
        In a fixed order. A rule over several keys is checked once every key alone is right.

    Raises
    ------
    PolicyError
        If `folder` is not a folder.
    """
    return [_checked(folder, name, model) for name, model in DOCUMENTS.items()]


def unknown_files(folder: Path | None) -> list[Finding]:
    """Files of the folder that nothing reads, with the closest name that is read."""
    if folder is None:
        return []
    read = {f"{name}.yaml" for name in DOCUMENTS} | set(OTHER_FILES)
    others = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml"} and path.name not in read)
    return [Finding("warning", path, "", f"nothing reads this file{_hint(path.name, read)}") for path in others]


def not_applicable_measures(documents: Iterable[CheckedDocument]) -> list[Finding]:
    """Measures, dimensions of segments and conditions whose domain the company does not have."""
    by_name = {document.name: document for document in documents}
    company, score = by_name["company"].model, by_name["health_score"].model
    if not isinstance(company, CompanyPolicy) or not isinstance(score, HealthScorePolicy):
        return []
    off = set(company.not_applicable_domains)
    file = by_name["health_score"].file
    return [
        Finding(
            "warning",
            file,
            f"measures.{name}",
            f"it is never judged: {measure.domain} is among the not_applicable_domains of company.yaml",
        )
        for name, measure in score.measures.items()
        if measure.domain in off
    ]


def unknown_playbook_names(documents: Iterable[CheckedDocument], tier_reasons: Iterable[str]) -> list[Finding]:
    """Names in playbooks that no group, measure, feature of a measure, or rule of the tier path has.

    Parameters
    ----------
    tier_reasons : the rules of the tier path, as account_health_weekly names them
    """
    by_name = {document.name: document for document in documents}
    playbooks, score = by_name["playbooks"].model, by_name["health_score"].model
    if not isinstance(playbooks, PlaybookPolicy) or not isinstance(score, HealthScorePolicy):
        return []
    low = {*score.groups, *score.measures, *(measure.feature for measure in score.measures.values())}
    known = {"when_low": low, "tier_reasons": set(tier_reasons)}
    return [
        Finding(
            "warning",
            by_name["playbooks"].file,
            f"playbooks.{playbook.id}.{field}",
            f"{name!r} is never met: the health score has nothing of that name{_hint(name, names)}",
        )
        for playbook in playbooks.playbooks
        for field, names in known.items()
        for name in getattr(playbook, field)
        if name not in names
    ]


def unknown_risk_names(documents: Iterable[CheckedDocument]) -> list[Finding]:
    """Playbooks that risk signals offer and playbooks.yaml does not have; a packet could not be built."""
    by_name = {document.name: document for document in documents}
    playbooks, signals = by_name["playbooks"].model, by_name["risk_signals"].model
    if not isinstance(playbooks, PlaybookPolicy) or not isinstance(signals, RiskSignalPolicy):
        return []
    known = {playbook.id for playbook in playbooks.playbooks}
    return [
        Finding(
            "error",
            by_name["risk_signals"].file,
            f"signals.{signal.id}.playbooks",
            f"{name!r} is no playbook of playbooks.yaml{_hint(name, known)}",
        )
        for signal in signals.signals
        for name in signal.playbooks
        if name not in known
    ]


def _checked(folder: Path | None, name: str, model: type[PolicyModel]) -> CheckedDocument:
    file = document_path(folder, name)
    is_own = folder is not None and file.parent == folder
    try:
        text = file.read_text(encoding="utf-8")
        content = parse_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark else ""
        return _refused(name, file, is_own, place, f"it is not YAML: {getattr(error, 'problem', error)}")
    except UnicodeDecodeError as error:
        return _refused(name, file, is_own, f"byte {error.start}", "it is not UTF-8; save it as UTF-8")
    if not isinstance(content, dict):
        return _refused(name, file, is_own, "", f"its top must hold keys and values; it holds {type(content).__name__}")
    findings = [Finding("warning", file, *twice) for twice in _keys_twice(text)]
    findings += [Finding("error", file, place, message) for place, message in problems(model, content)]
    if any(finding.severity == "error" for finding in findings):
        return CheckedDocument(name, file, is_own, None, None, tuple(findings))
    return CheckedDocument(name, file, is_own, model.model_validate(content), content_hash(content), tuple(findings))


def _refused(name: str, file: Path, is_own: bool, place: str, message: str) -> CheckedDocument:
    return CheckedDocument(name, file, is_own, None, None, (Finding("error", file, place, message),))


def problems(model: type[BaseModel], content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything that is wrong with a document's content, as place and message; empty where it can be used."""
    try:
        model.model_validate(content)
    except ValidationError as error:
        found = [_problem(model, problem) for problem in error.errors()]
        # A rule over the whole document stops at the first that is broken: ask each of them.
        return _broken_rules(model, content) or found if _is_only_rules(error) else found
    return []


def _is_only_rules(error: ValidationError) -> bool:
    return all(not problem["loc"] and problem["type"] == "value_error" for problem in error.errors())


def _broken_rules(model: type[BaseModel], content: Mapping[str, Any]) -> list[tuple[str, str]]:
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in model.model_fields.items()}
    values = create_model("Fields", __base__=PolicyModel, **fields)
    # the same keys without the rules over them
    plain = values.model_validate(content, strict=False)
    document = model.model_construct(**{name: getattr(plain, name) for name in fields})
    broken = []
    for rule in model.__pydantic_decorators__.model_validators.values():
        try:
            getattr(document, rule.cls_var_name)()
        except ValueError as error:
            broken.append(("", str(error)))
    return broken


def _problem(model: type[BaseModel], problem: Mapping[str, Any]) -> tuple[str, str]:
    place = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    message = str(problem["msg"]).removeprefix("Value error, ")
    given = problem["input"]
    kind = problem["type"]
    if kind == "extra_forbidden":
        names = _allowed_names(model, problem["loc"][:-1])
        listed = f"; there are {', '.join(names)}" if names else ""
        return place, f"there is no such key{_hint(str(problem['loc'][-1]), names, listed)}"
    if kind == "missing":
        return place, "it is not there; write it"
    message = message.removeprefix("Input should be ")
    shown = f"it says {given!r}" if isinstance(given, str | int | float | bool) else ""
    if message == problem["msg"] or problem["msg"].startswith("Value error"):
        return place, f"{message}{f' ({shown})' if shown else ''}"
    hint = _hint(str(given), _quoted(str(problem["msg"]))) if kind == "literal_error" else ""
    return place, f"{shown or 'what it says'}{' and' if shown else ''} must be {message}{hint}"


def _allowed_names(model: type[BaseModel], place: Iterable[str | int]) -> list[str]:
    """The keys that a place of a document may have."""
    annotation: Any = model
    for part in place:
        annotation = _inside(annotation, part)
    found = _model_of(annotation)
    return [] if found is None else [field.alias or name for name, field in found.model_fields.items()]


def _inside(annotation: Any, part: str | int) -> Any:
    model = _model_of(annotation)
    if model is not None:
        by_name = {field.alias or name: field for name, field in model.model_fields.items()}
        return by_name[str(part)].annotation if str(part) in by_name else None
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[-1] if arguments else None


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or may be besides null."""
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return next((found for part in get_args(annotation) if (found := _model_of(part)) is not None), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _quoted(message: str) -> list[str]:
    return message.split("'")[1::2]


def _hint(name: str, names: Iterable[str], otherwise: str = "") -> str:
    close = closest(name, names)
    return f"; the closest is {close!r}" if close else otherwise


def _keys_twice(text: str) -> Iterator[tuple[str, str]]:
    """Keys that stand twice in one place: YAML keeps the last without a word."""
    waiting: list[tuple[yaml.Node | None, str]] = [(yaml.compose(text, Loader=yaml.SafeLoader), "")]
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                inner = f"{place}.{key.value}".lstrip(".")
                if key.value in seen:
                    yield inner, f"it stands twice (again in line {key.start_mark.line + 1}); the last one counts"
                seen.add(str(key.value))
                waiting.append((value, inner))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(value, f"{place}.{number}") for number, value in enumerate(node.value)]
