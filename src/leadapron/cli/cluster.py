"""`leadapron cluster`: certificates, scheduler and workers of a cluster, and an audit by it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leadapron.cli.cluster_audit import cluster_audit_command
from leadapron.cli.output import say, while_read
from leadapron.errors import InputError
from leadapron.model import VantageKind

cluster_app = typer.Typer(no_args_is_help=True, help="One audit by several machines, on a Dask cluster.")
cluster_app.command("audit", help="Audit a scope with the workers of a cluster.")(cluster_audit_command)

CertificatesOption = Annotated[
    Path, typer.Option("--certificates", metavar="DIR", help="The folder of `leadapron cluster certificates`.")
]
HostOption = Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address of this machine to listen on.")]


@cluster_app.command("certificates", help="Make the keys and certificates of a cluster.")
def certificates_command(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where they are written, for their owner only.")],
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="NAME", help="A name or an address of a machine; repeatable.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long they are valid.")] = 365,
    force: Annotated[bool, typer.Option("--force", help="Make them anew where there are some.")] = False,
) -> None:
    from leadapron.cluster.certificates import make_certificates

    made = make_certificates(out, hosts=host or (), days=days, force=force)
    with while_read():
        for path in made:
            typer.echo(path)


@cluster_app.command("scheduler", help="Run the scheduler of a cluster until it is told to end.")
def scheduler_command(
    host: HostOption,
    certificates: CertificatesOption,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="A TCP port.")] = 8786,
) -> None:
    require_dask()
    from leadapron.cluster.serving import serve_scheduler

    serve_scheduler(host=host, port=port, certificates=certificates)
    say("The scheduler has ended.")


@cluster_app.command("worker", help="Run a worker of a cluster until it is told to end.")
def worker_command(
    scheduler: Annotated[str, typer.Option("--scheduler", metavar="URL", help="tls://HOST:PORT")],
    host: HostOption,
    certificates: CertificatesOption,
    vantage: Annotated[VantageKind, typer.Option("--vantage", help="From where this machine looks.")],
    name: Annotated[str, typer.Option("--name", help="How it is called, in logs and in the store.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="A TCP port; any free one by default.")] = 0,
) -> None:
    require_dask()
    from leadapron.cluster.crew import endpoint_of
    from leadapron.cluster.serving import WorkerTerms, serve_worker

    endpoint_of(scheduler)
    serve_worker(
        WorkerTerms(scheduler=scheduler, host=host, port=port, name=name, vantage=vantage, certificates=certificates)
    )
    say("The worker has ended; what it held is given back.")


def require_dask() -> None:
    """Raises InputError."""
    try:
        import distributed  # noqa: F401 - is it there?
    except ImportError:
        raise InputError("Dask is not installed; install leadapron[cluster]") from None
