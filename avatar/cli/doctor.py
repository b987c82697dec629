"""`avatar doctor`: what is installed on this machine, what works, and how to get the rest."""

from __future__ import annotations

from pathlib import Path

from avatar.cli.options import Switch


def check_machine(install_networks: Path | None = None, build_kernels: Switch = False) -> None:
    """Check what is installed on this machine, what works, and how to get what is missing.

    Args:
        install_networks: folder with the packages that the report names, of LPIPS and DISTS or of the face network;
            their networks are put into your cache folder first.
        build_kernels: compile the renderer for your NVIDIA device first, instead of at its first use.
    """
    if build_kernels:
        from avatar.rendering.gsplat_backend import build_kernels as build

        print(f"kernels: {build()}")
    if install_networks is not None:
        from avatar.pipeline.networks import install_networks as install

        for path in install(install_networks):
            print(f"networks: {path}")
    from avatar.pipeline.doctor import examine, report

    findings = list(examine())
    print(report(findings))
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)
