"""`avatar doctor`: what this machine has, what works, and the command that brings what is missing."""

from __future__ import annotations


def doctor() -> None:
    """Say what this machine has for the program's work, what is missing, and how to get it."""
    from avatar.pipeline.doctor import examine, report

    findings = list(examine())
    print(report(findings))
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)
