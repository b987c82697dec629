"""`avatar doctor`: what is installed on this machine, what works, and how to get the rest."""

from __future__ import annotations


def check_machine() -> None:
    """Check what is installed on this machine, what works, and how to get what is missing."""
    from avatar.pipeline.doctor import examine, report

    findings = list(examine())
    print(report(findings))
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)
