"""The command ``pai``."""

import click

from prometheus_ai import __version__
from prometheus_ai.cli.connection import Connection
from prometheus_ai.cli.group import LazyGroup, Sections

_AT = "prometheus_ai.cli"

_AUDIT: Sections = {
    "Commands": {
        "verify": (f"{_AT}.govern.audit_verify:verify", "Check that no record was changed."),
        "export": (f"{_AT}.govern.audit_export:export", "Write the log for others to verify."),
    }
}
_TOKEN: Sections = {
    "Commands": {
        "create": (f"{_AT}.govern.token_create:create", "Make a token; its secret is shown once."),
        "list": (f"{_AT}.govern.token_list:list_tokens", "Show all tokens, without secrets."),
        "revoke": (f"{_AT}.govern.token_revoke:revoke", "Make a token useless at once."),
    }
}
_PAI: Sections = {
    "From model to backend": {
        "init": (f"{_AT}.ship.init:init", "Write a spec for a model file."),
        "schema": (f"{_AT}.ship.schema:schema", "Print the JSON Schema of specs, for editors."),
        "diff": (f"{_AT}.ship.diff:diff", "Show what a deploy would change."),
        "deploy": (f"{_AT}.ship.deploy:deploy", "Make a release of a spec and give it traffic."),
        "predict": (f"{_AT}.ship.predict:predict", "Ask a backend's model."),
    },
    "Traffic": {
        "route": (f"{_AT}.traffic.route:route", "Split traffic between releases."),
        "promote": (f"{_AT}.traffic.promote:promote", "Give all traffic to the newest release."),
        "rollback": (f"{_AT}.traffic.rollback:rollback", "Return traffic to the release before."),
        "scale": (f"{_AT}.traffic.scale:scale", "Set the number of replicas."),
        "delete": (f"{_AT}.traffic.delete:delete", "Delete a backend; its events stay."),
    },
    "What is so, and why": {
        "status": (f"{_AT}.watch.status:status", "Show all backends, or one in detail."),
        "releases": (f"{_AT}.watch.releases:releases", "Show the history of a backend."),
        "logs": (f"{_AT}.watch.logs:logs", "Show what replicas wrote."),
        "events": (f"{_AT}.watch.events:events", "Show who changed what, when and why."),
        "why": (f"{_AT}.watch.why:why", "Explain what runs, what is wanted and what is next."),
    },
    "Governance": {
        "audit": (f"{_AT}.main:audit", "Verify or export the tamper-evident log."),
        "token": (f"{_AT}.main:token", "Make, list and revoke API tokens."),
        "gc": (f"{_AT}.govern.gc:gc", "Remove artefacts that no release needs."),
    },
    "This machine": {
        "up": (f"{_AT}.machine.up:up", "Start the platform here."),
        "down": (f"{_AT}.machine.down:down", "Stop everything that `pai up` started."),
        "doctor": (f"{_AT}.machine.doctor:doctor", "Check this machine and say what to fix."),
        "version": (f"{_AT}.machine.version:version", "Print the version."),
        "completion": (f"{_AT}.machine.completion:completion", "Print shell completion."),
        "server": (f"{_AT}.machine.server:server", "Run the control plane alone."),
        "gateway": (f"{_AT}.machine.gateway:gateway", "Run the gateway alone."),
    },
}


@click.group(
    cls=LazyGroup,
    sections=_PAI,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: pai up --detach, then pai init MODEL_FILE and pai deploy pai.yaml --wait.",
)
@click.option("--home", envvar="PAI_HOME", metavar="FOLDER", help="Home folder  [default: ~/.pai]")
@click.option("--url", envvar="PAI_URL", metavar="URL", help="Address of another control plane.")
@click.version_option(__version__, "--version", message="%(version)s")
@click.pass_context
def main(ctx: click.Context, home: str | None, url: str | None) -> None:
    """Manage AI backends: deploy, route, watch and roll back versions of models.

    Settings come from the home folder and from PAI_ variables; a token for another control plane from PAI_TOKEN.
    """
    ctx.obj = Connection(home=home, url=url)


audit = LazyGroup("audit", sections=_AUDIT, help="Verify or export the tamper-evident log.")
token = LazyGroup("token", sections=_TOKEN, help="Make, list and revoke API tokens.")
