"""Exports as vendors write them: their headers, times, words and id forms, with a few invented companies in them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

COMPANIES = ("Alder Foods", "Birch & Co", "Cedar Logistics", "Dune Media", "Elm Health", "Fjord Systems")
DOMAINS = tuple(name.split()[0].lower() + ".example" for name in COMPANIES)
DAYS = range(1, len(COMPANIES) + 1)


def write_csv(
    path: Path, header: list[str], rows: list[list[Any]], delimiter: str = ",", encoding: str = "utf-8"
) -> None:
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)


def hubspot(folder: Path) -> None:
    """Companies, contacts and deals: "Record ID", times without a zone, ids of associated companies as a list."""
    ids = [str(15_800_000_000 + 7 * n) for n in DAYS]
    write_csv(
        folder / "hubspot-crm-exports-all-companies-2026-11-02.csv",
        [
            "Record ID",
            "Company name",
            "Company Domain Name",
            "Company owner",
            "Create Date",
            "Last Modified Date",
            "Phone Number",
            "Last Activity Date",
            "City",
            "Country/Region",
            "Industry",
            "Number of Employees",
            "Annual Revenue",
            "Lifecycle Stage",
        ],
        [
            [
                i,
                name,
                domain,
                "Mia Berg",
                f"2024-02-{n:02d} 10:15",
                f"2026-10-{n:02d} 08:01",
                "",
                "2026-10-20 12:00",
                "Oslo",
                "Norway",
                "RETAIL",
                40 + n,
                1000000,
                "Customer",
            ]
            for n, i, name, domain in zip(DAYS, ids, COMPANIES, DOMAINS, strict=True)
        ],
    )
    write_csv(
        folder / "hubspot-crm-exports-all-contacts-2026-11-02.csv",
        [
            "Record ID",
            "First Name",
            "Last Name",
            "Email",
            "Phone Number",
            "Contact owner",
            "Associated Company",
            "Associated Company IDs",
            "Last Activity Date",
            "Lead Status",
            "Create Date",
            "Last Modified Date",
            "Job Title",
            "Buying Role",
        ],
        [
            [
                900 + n,
                "Ada",
                f"Person{n}",
                f"ada@{domain}",
                "",
                "Mia Berg",
                name,
                i,
                "2026-10-21 12:00",
                "",
                f"2024-03-{n:02d} 10:15",
                f"2026-10-{n:02d} 08:01",
                "CFO",
                "Budget Holder" if n % 2 else "Champion",
            ]
            for n, i, name, domain in zip(DAYS, ids, COMPANIES, DOMAINS, strict=True)
        ],
    )
    write_csv(
        folder / "hubspot-crm-exports-all-deals-2026-11-02.csv",
        [
            "Record ID",
            "Deal Name",
            "Deal Stage",
            "Close Date",
            "Deal owner",
            "Amount",
            "Pipeline",
            "Deal Type",
            "Create Date",
            "Last Modified Date",
            "Associated Company",
            "Associated Company IDs",
            "Currency",
        ],
        [
            [
                7000 + n,
                f"{name} renewal",
                "Closed Won" if n % 2 else "Contract Sent",
                f"2026-09-{n:02d} 09:00",
                "Mia Berg",
                12000 + n,
                "Sales",
                "Existing Business" if n % 3 else "New Business",
                f"2026-03-{n:02d} 10:15",
                f"2026-09-{n:02d} 09:00",
                name,
                f"{i};99",
                "EUR",
            ]
            for n, i, name in zip(DAYS, ids, COMPANIES, strict=True)
        ],
    )


def salesforce(folder: Path) -> None:
    """Data loader files: API names, offsets without a colon, 18-character ids."""
    ids = [f"0015g00000AAAA{n}AAX" for n in DAYS]
    write_csv(
        folder / "Account.csv",
        [
            "Id",
            "IsDeleted",
            "Name",
            "Type",
            "ParentId",
            "BillingCountry",
            "Website",
            "Industry",
            "AnnualRevenue",
            "NumberOfEmployees",
            "OwnerId",
            "CreatedDate",
            "LastModifiedDate",
            "SystemModstamp",
        ],
        [
            [
                i,
                "false",
                name,
                "Customer",
                "",
                "Norway",
                f"https://{domain}",
                "Retail",
                "",
                10 * n,
                f"0055g000003{n}",
                f"2023-01-{n:02d}T10:00:00.000+0000",
                f"2026-10-{n:02d}T10:00:00.000+0000",
                f"2026-10-{n:02d}T10:00:01.000+0000",
            ]
            for n, i, name, domain in zip(DAYS, ids, COMPANIES, DOMAINS, strict=True)
        ],
    )
    write_csv(
        folder / "Opportunity.csv",
        [
            "Id",
            "IsDeleted",
            "AccountId",
            "Name",
            "StageName",
            "Amount",
            "Probability",
            "CloseDate",
            "Type",
            "IsClosed",
            "IsWon",
            "ForecastCategory",
            "CurrencyIsoCode",
            "OwnerId",
            "CreatedDate",
            "LastModifiedDate",
            "SystemModstamp",
        ],
        [
            [
                f"0065g00000BBBB{n}",
                "false",
                i,
                f"{name} 2026",
                "Closed Won",
                900.5 * n,
                100,
                f"2026-08-{n:02d}",
                "Existing Customer - Upgrade",
                "true",
                "true",
                "Closed",
                "USD",
                f"0055g000003{n}",
                f"2026-01-{n:02d}T10:00:00.000+0000",
                f"2026-08-{n:02d}T10:00:00.000+0000",
                f"2026-08-{n:02d}T10:00:01.000+0000",
            ]
            for n, i, name in zip(DAYS, ids, COMPANIES, strict=True)
        ],
    )


def stripe(folder: Path) -> None:
    """Dashboard exports: zones in the header, small letters for currencies, an amount per interval."""
    ids = [f"cus_N{n}xYz" for n in DAYS]
    write_csv(
        folder / "stripe_customers.csv",
        [
            "id",
            "Description",
            "Email",
            "Name",
            "Created (UTC)",
            "Delinquent",
            "Card ID",
            "Currency",
            "Total Spend",
            "Payment Count",
        ],
        [
            [i, "", f"billing@{domain}", name, f"2024-02-{n:02d} 11:20", "false", "card_1", "usd", "1200.00", 3]
            for n, i, name, domain in zip(DAYS, ids, COMPANIES, DOMAINS, strict=True)
        ],
    )
    write_csv(
        folder / "stripe_subscriptions.csv",
        [
            "id",
            "Customer ID",
            "Customer Description",
            "Customer Email",
            "Plan",
            "Quantity",
            "Currency",
            "Interval",
            "Amount",
            "Status",
            "Created (UTC)",
            "Start (UTC)",
            "Current Period Start (UTC)",
            "Current Period End (UTC)",
            "Trial Start (UTC)",
            "Trial End (UTC)",
            "Canceled At (UTC)",
            "Ended At (UTC)",
            "Cancel At Period End",
        ],
        [
            [
                f"sub_{n}",
                i,
                "",
                f"billing@{domain}",
                "price_pro",
                5 * n,
                "usd",
                "month",
                "49.00",
                "active",
                f"2024-02-{n:02d} 11:21",
                f"2024-02-{n:02d} 11:21",
                f"2026-11-{n:02d} 11:21",
                f"2026-12-{n:02d} 11:21",
                "",
                "",
                f"2026-10-{n:02d} 09:00" if n == 2 else "",
                "",
                "true" if n == 2 else "false",
            ]
            for n, i, domain in zip(DAYS, ids, DOMAINS, strict=True)
        ],
    )
    write_csv(
        folder / "stripe_invoices.csv",
        [
            "id",
            "Amount Due",
            "Billing",
            "Closed",
            "Currency",
            "Customer",
            "Date (UTC)",
            "Due Date (UTC)",
            "Number",
            "Paid",
            "Subscription",
            "Subtotal",
            "Tax",
            "Total",
            "Amount Paid",
            "Status",
        ],
        [
            [
                f"in_{n}",
                "49.00",
                "send_invoice",
                "true",
                "usd",
                i,
                f"2026-10-{n:02d} 00:05",
                f"2026-10-{n + 14:02d} 00:05",
                f"AB-{n:04d}",
                "true",
                f"sub_{n}",
                "49.00",
                "0.00",
                "49.00",
                "49.00",
                "paid",
            ]
            for n, i in zip(DAYS, ids, strict=True)
        ],
    )
    write_csv(
        folder / "stripe_payments.csv",
        [
            "id",
            "Description",
            "Seller Message",
            "Created date (UTC)",
            "Amount",
            "Amount Refunded",
            "Currency",
            "Converted Amount",
            "Status",
            "Decline Reason",
            "Customer ID",
            "Customer Email",
            "Invoice ID",
        ],
        [
            [
                f"ch_{n}",
                "",
                "Payment complete.",
                f"2026-10-{n:02d} 00:09:31",
                "49.00",
                "0.00",
                "usd",
                "49.00",
                "Failed" if n == 3 else "Paid",
                "card_declined" if n == 3 else "",
                i,
                "",
                f"in_{n}",
            ]
            for n, i in zip(DAYS, ids, strict=True)
        ],
    )


def zendesk(folder: Path) -> None:
    """A ticket export: organisations by name, minutes instead of times, an empty priority written as a dash."""
    write_csv(
        folder / "zendesk-tickets.csv",
        [
            "Summary",
            "Id",
            "Requester",
            "Requester id",
            "Requester external id",
            "Requester email",
            "Requester domain",
            "Submitter",
            "Assignee",
            "Group",
            "Subject",
            "Tags",
            "Status",
            "Priority",
            "Via",
            "Ticket type",
            "Created at",
            "Updated at",
            "Assigned at",
            "Organization",
            "Due date",
            "Solved at",
            "Satisfaction Score",
            "Group stations",
            "Assignee stations",
            "Reopens",
            "Replies",
            "First reply time in minutes",
        ],
        [
            [
                "",
                31000 + n,
                "Ada",
                5,
                "",
                f"ada@{domain}",
                domain,
                "Ada",
                "Tom",
                "Support",
                f"Export fails {n}",
                "",
                "Closed" if n % 2 else "On-hold",
                "High" if n % 2 else "Normal",
                "Mail",
                "Incident",
                f"2026-09-{n:02d} 08:15",
                f"2026-09-{n + 9:02d} 10:00",
                "",
                name,
                "",
                f"2026-09-{n + 3:02d} 16:40" if n % 2 else "",
                "Good",
                1,
                1,
                n % 3,
                4,
                12 * n,
            ]
            for n, name, domain in zip(DAYS, COMPANIES, DOMAINS, strict=True)
        ],
    )


def intercom(folder: Path) -> None:
    """Conversations as JSON lines: seconds since 1970, states of their own, a company id."""
    lines = [
        {
            "conversation_id": f"2154700000{n}",
            "conversation_state": "snoozed" if n == 2 else "closed",
            "conversation_created_at": 1_788_000_000 + 86_400 * n,
            "conversation_first_response_at": 1_788_000_900 + 86_400 * n,
            "conversation_closed_at": None if n == 2 else 1_788_090_000 + 86_400 * n,
            "company_id": f"co-{n:06d}",
            "user_email": f"ada@{domain}",
            "conversation_rating": 5,
        }
        for n, domain in zip(DAYS, DOMAINS, strict=True)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "intercom_conversations.jsonl").write_text(text, encoding="utf-8")


def gainsight(folder: Path) -> None:
    """Companies and timeline: GSID, American days, attendees as a list, the CSM by name."""
    write_csv(
        folder / "gainsight_company.csv",
        [
            "GSID",
            "Name",
            "SFDC Account ID",
            "CSM",
            "Renewal Date",
            "Lifecycle Stage",
            "Customer Lifetime in Months",
            "Created Date",
            "Modified Date",
        ],
        [
            [
                f"1P02{n}ABCDEF",
                name,
                f"0015g00000AAAA{n}AAX",
                "Mia Berg",
                f"{n}/28/2027",
                "Adopt",
                20 + n,
                f"{n}/15/2024",
                f"10/{n + 12}/2026",
            ]
            for n, name in zip(DAYS, COMPANIES, strict=True)
        ],
    )
    write_csv(
        folder / "gainsight_timeline.csv",
        [
            "Activity ID",
            "Activity Type",
            "Subject",
            "Notes",
            "Activity Date",
            "Duration in mins",
            "Author",
            "Internal Attendees",
            "External Attendees",
            "Company Name",
        ],
        [
            [
                f"1I00{n}",
                "Meeting",
                "Quarterly review",
                "All fine",
                f"9/{n + 12}/2026 2:30 PM",
                45,
                "Mia Berg",
                "mia@we.example",
                f"ada@{domain}",
                name,
            ]
            for n, name, domain in zip(DAYS, COMPANIES, DOMAINS, strict=True)
        ],
    )


def jira(folder: Path) -> None:
    """A service project's issues: `05/Mar/26 2:22 PM`, a customer in a custom field, words of a workflow."""
    write_csv(
        folder / "jira_issues.csv",
        [
            "Summary",
            "Issue key",
            "Issue id",
            "Issue Type",
            "Status",
            "Project key",
            "Project name",
            "Priority",
            "Resolution",
            "Assignee",
            "Reporter",
            "Created",
            "Updated",
            "Resolved",
            "Due date",
            "Custom field (Customer)",
        ],
        [
            [
                f"Login broken {n}",
                f"SUP-{n}",
                10400 + n,
                "Incident",
                "Done" if n % 2 else "Waiting for customer",
                "SUP",
                "Support",
                "High",
                "Done" if n % 2 else "",
                "tom",
                "ada",
                f"{n:02d}/Sep/26 2:22 PM",
                f"{n + 9:02d}/Sep/26 2:22 PM",
                f"{n + 8:02d}/Sep/26 2:20 PM" if n % 2 else "",
                "",
                name,
            ]
            for n, name in zip(DAYS, COMPANIES, strict=True)
        ],
    )


def delighted(folder: Path) -> None:
    """NPS answers: a score out of ten, respondents by address, no company; no line break at the file's end."""
    write_csv(
        folder / "delighted_nps_responses.csv",
        [
            "Response ID",
            "Survey type",
            "Person ID",
            "Email",
            "Score",
            "Comment",
            "Response date (PST)",
            "Survey sent date (PST)",
        ],
        [
            [
                f"d{n}",
                "nps",
                70 + n,
                f"ada@{domain}",
                min(10, 4 + n),
                "fine",
                f"2026-09-{n:02d} 23:30:00",
                f"2026-09-{n:02d} 08:00:00",
            ]
            for n, domain in zip(DAYS, DOMAINS, strict=True)
        ],
    )
    path = folder / "delighted_nps_responses.csv"
    path.write_bytes(path.read_bytes().rstrip())


ALL = {
    export.__name__: export for export in (hubspot, salesforce, stripe, zendesk, intercom, gainsight, jira, delighted)
}
