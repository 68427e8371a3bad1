"""The yardstick: links whose truth is known, with the noise that real systems have; and the time it takes."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa

from health_pipeline.identity.crosswalk import build_crosswalk
from health_pipeline.identity.landed import read_source_accounts
from health_pipeline.identity.match import match_rate
from health_pipeline.identity.overrides import account_id_of
from health_pipeline.policy.company import load_company
from health_pipeline.sources.demo import DemoCompany
from health_pipeline.sources.landing import Landing

LEAST_PRECISION = 0.995
COMPANIES = 1500
WORDS = [
    "orbit",
    "harbor",
    "maple",
    "quartz",
    "delta",
    "summit",
    "river",
    "copper",
    "falcon",
    "meadow",
    "ember",
    "cobalt",
]
FORMS = ("Inc.", "GmbH", "Ltd", "S.A.", "")


def company_records(generator, company):
    """One company in three systems: the truth is the number in the record's id."""
    name = f"{WORDS[generator.integers(12)]} {WORDS[generator.integers(12)]} {generator.integers(40)}"
    domain = f"{name.replace(' ', '')}.example" if generator.random() > 0.15 else "gmail.com"
    crm = {"id": f"C{company}", "name": name, "domain": domain}
    records = []
    for kind in ("billing", "support"):
        noise = generator.random(5)
        record = {"id": f"{kind[0].upper()}{company}", "name": f"{name.title()} {FORMS[generator.integers(5)]}"}
        if noise[0] < 0.6:
            record["external"] = f"C{company}"
        if noise[1] < 0.8:
            record["domain"] = f"https://www.{domain.upper()}/en" if noise[2] < 0.5 else domain
        if noise[3] < 0.01:
            # a typing error: the id of somebody else, which no rule can tell from the right one ...
            record["external"] = f"C{generator.integers(10**6, 10**7)}"
        if noise[4] < 0.02:
            # ... and the domain of an agency that runs the web sites of several customers
            record["domain"] = f"agency{generator.integers(3)}.example"
        records.append((kind, record))
    return crm, records


def test_precision_on_links_whose_truth_is_known(book):
    generator = np.random.default_rng(20261121)
    customers = [company_records(generator, company) for company in range(COMPANIES)]
    book.load(0, "crm", [crm for crm, _ in customers])
    # the agencies are customers too, and some crm records are there twice
    book.load(0.1, "crm", [{"id": f"C9{n}", "name": f"Agency {n}", "domain": f"agency{n}.example"} for n in range(3)])
    book.load(0.2, "crm", [{**crm, "id": crm["id"] + "-again"} for crm, _ in customers[::50]])
    for kind in ("billing", "support"):
        book.load(1, kind, [record for _, records in customers for of, record in records if of == kind])
    crosswalk = book.crosswalk()
    truth = {account_id_of("crm_system", "default", crm["id"]): crm["id"][1:] for crm, _ in customers}
    judged = [
        (link["method"], truth.get(link["account_id"]) == link["source_account_id"][1:])
        for link in crosswalk.links.to_pylist()
        if link["source_kind"] != "crm"
    ]
    right = sum(is_right for _, is_right in judged)
    assert right / len(judged) >= LEAST_PRECISION
    by_domain = [is_right for method, is_right in judged if method == "domain"]
    assert len(by_domain) > 300
    assert sum(by_domain) / len(by_domain) >= LEAST_PRECISION
    # precise and still useful: what could be matched was
    assert len(judged) / (2 * COMPANIES) > 0.8
    # what is left over is in the queue, and its suggestions are right more often than not
    suggested = [
        truth.get(row["suggested_account_id"]) == row["source_account_id"][1:]
        for row in crosswalk.unmatched.to_pylist()
        if row["suggested_account_id"] is not None
    ]
    assert len(judged) + crosswalk.unmatched.num_rows == 2 * COMPANIES
    assert sum(suggested) / len(suggested) > 0.5


def test_precision_on_the_demo_company(tmp_path):
    demo = DemoCompany(seed=3, accounts=150)
    landing = Landing(tmp_path / "landing", tmp_path / "quarantine")
    company = load_company(None).model
    for load in (0, 1, 2):
        for extract in demo.extracts(load):
            own = tuple(table for table in extract.tables if table.table == "source_account")
            landed = landing.load(
                replace(extract, tables=own), company, demo.loaded_at(load, extract.source_kind), accept=True
            )
            # a week without a change in a small system is the extract of the week before
            assert landed.status in ("committed", "duplicate"), landed.messages
    manifest = landing.manifest()
    crosswalk = build_crosswalk(read_source_accounts(manifest), manifest)
    # the simulator deals out ids at random; the place of an id is the company it belongs to
    truth = {
        kind: {record: place for place, record in enumerate(ids.to_pylist())}
        for kind, ids in demo._world.source_ids.items()
    }
    anchors = dict(
        zip(
            crosswalk.accounts["account_id"].to_pylist(),
            crosswalk.accounts["anchor_source_account_id"].to_pylist(),
            strict=True,
        )
    )
    judged = [
        truth[link["source_kind"]][link["source_account_id"]] == truth["crm"].get(anchors[link["account_id"]])
        for link in crosswalk.links.to_pylist()
        if link["source_kind"] != "crm"
    ]
    assert len(judged) > 8 * 100
    assert sum(judged) / len(judged) >= LEAST_PRECISION
    matched = match_rate(crosswalk, demo.load_times[2] + timedelta(hours=4))[-1]
    assert matched.share_by_count is not None
    assert matched.share_by_count > 0.95


def test_complete_extracts_that_repeat_every_row_cost_little(book):
    """477,000 rows of nine complete extracts over 53 weeks: a tenth of the size that has to take seconds."""
    records, weeks = 1000, 53
    book.load(0, "crm", [{"id": f"C{n}"} for n in range(records)], is_complete=True)
    for kind in ("billing", "support", "survey", "usage", "cs", "projects", "risk", "engagement"):
        book.load(0, kind, [{"id": f"{kind}-{n}", "external": f"C{n}"} for n in range(records)], is_complete=True)
    rows, loads = book.tables()
    first = loads.to_pylist()
    parts, manifest = [rows], list(first)
    for week in range(1, weeks):
        moment = book.at(7 * week)
        times = pa.array([moment] * rows.num_rows, pa.timestamp("us"))
        repeated = rows
        for name in ("loaded_at", "available_at", "attributes_available_at"):
            repeated = repeated.set_column(repeated.schema.get_field_index(name), name, times)
        shift = pa.array(np.asarray(rows["load_sequence"]) + week * len(first))
        place = repeated.schema.get_field_index("load_sequence")
        parts.append(repeated.set_column(place, repeated.schema.field(place), shift))
        manifest += [
            {
                **load,
                "load_sequence": load["load_sequence"] + week * len(first),
                "loaded_at": load["loaded_at"] + timedelta(days=7 * week),
            }
            for load in first
        ]
    whole = pa.concat_tables(parts)
    assert whole.num_rows == 9 * records * weeks
    started = time.process_time()
    crosswalk = build_crosswalk(whole, pa.Table.from_pylist(manifest, schema=loads.schema))
    assert time.process_time() - started < 10
    assert (crosswalk.accounts.num_rows, crosswalk.links.num_rows) == (records, 9 * records)
    assert crosswalk.links["valid_to"].null_count == 9 * records
