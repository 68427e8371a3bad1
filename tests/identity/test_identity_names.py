"""Domains and names made comparable."""

from __future__ import annotations

import pytest

from health_pipeline.identity.names import free_mail_domains, most_alike, normalise_domain, normalise_name


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("acme.example", "acme.example"),
        ("  WWW.ACME.example. ", "acme.example"),
        ("https://www.acme.example:8443/path?query#part", "acme.example"),
        ("ana@acme.example", "acme.example"),
        ("shop.acme.co.example", "shop.acme.co.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("", None),
        (None, None),
        ("n/a", None),
        ("-", None),
        ("localhost", None),
        ("10.0.0.1", None),
        ("acme", None),
    ],
)
def test_domain(given, expected):
    assert normalise_domain(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Acme, Inc.", "acme"),
        ("ACME GmbH & Co. KG", "acme"),
        ("Société Générale S.A.", "societe generale"),
        ("The Group Ltd", "the group ltd"),
        ("", ""),
        (None, ""),
    ],
)
def test_name(given, expected):
    assert normalise_name(given) == expected


def test_most_alike_picks_the_closest_and_says_how_close():
    best, likeness = most_alike(["orbital freight", "zzz", "acme", ""], ["acme labs", "orbital freight", "acme"])
    assert best.tolist()[0] == 1
    assert likeness[0] == pytest.approx(1.0)
    assert best.tolist()[2] == 2
    assert (best.tolist()[3], likeness[3]) == (-1, 0.0)
    assert likeness[1] < 0.3


def test_most_alike_of_nothing():
    assert most_alike([], ["a"])[0].tolist() == []
    assert most_alike(["a"], [])[0].tolist() == [-1]


def test_free_mail_domains_are_in_the_form_domains_are_compared_in():
    assert {normalise_domain(domain) for domain in free_mail_domains()} == free_mail_domains()
    assert {"gmail.com", "gmx.de", "outlook.com"} <= free_mail_domains()
