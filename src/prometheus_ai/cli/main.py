"""The command ``pai``."""

import click

from prometheus_ai import __version__
from prometheus_ai.cli.connection import Connection
from prometheus_ai.cli.group import DefaultGroup, LazyGroup, Sections

_AUDIT: Sections = {
    "Commands": {
        "verify": (
            "prometheus_ai.cli.govern.audit_verify:verify",
            "Check that no record was changed.",
        ),
        "export": (
            "prometheus_ai.cli.govern.audit_export:export",
            "Write the log for others to verify.",
        ),
    }
}
_TOKEN: Sections = {
    "Commands": {
        "create": (
            "prometheus_ai.cli.govern.token_create:create",
            "Make a token; its secret is shown once.",
        ),
        "list": (
            "prometheus_ai.cli.govern.token_list:list_tokens",
            "Show all tokens, without secrets.",
        ),
        "revoke": ("prometheus_ai.cli.govern.token_revoke:revoke", "Make a token useless at once."),
    }
}
_GATE: Sections = {
    "Commands": {
        "explain": (
            "prometheus_ai.cli.supply.gate_explain:explain",
            "Show each rule with its evidence.",
        ),
        "policy": (
            "prometheus_ai.cli.supply.gate_policy:policy",
            "Print the policy in force, or check a file.",
        ),
        "diff": (
            "prometheus_ai.cli.proof.gate_diff:diff",
            "Show what came and went between two releases.",
        ),
        "attest": (
            "prometheus_ai.cli.proof.gate_attest:attest",
            "Sign provenance, packages, findings and decision.",
        ),
    }
}
_BUNDLE: Sections = {
    "Commands": {
        "export": (
            "prometheus_ai.cli.bundles.bundle_export:export",
            "Write a release to one sealed file.",
        ),
        "import": (
            "prometheus_ai.cli.bundles.bundle_import:import_bundle",
            "Make a release of such a file.",
        ),
    }
}
_REPORT: Sections = {
    "Commands": {
        "compliance": (
            "prometheus_ai.cli.proof.report_compliance:compliance",
            "Show what runs, who approved it and which controls that meets.",
        ),
        "rollout": (
            "prometheus_ai.cli.rollouts.report:rollout",
            "Write the newest rollout as one page.",
        ),
    }
}
_ADVISORIES: Sections = {
    "Commands": {
        "status": (
            "prometheus_ai.cli.supply.advisories_status:status",
            "Show what the gate judges by, and its age.",
        ),
        "import": (
            "prometheus_ai.cli.supply.advisories_import:import_archive",
            "Take in an archive from this machine.",
        ),
        "update": (
            "prometheus_ai.cli.supply.advisories_update:update",
            "Download an archive and take it in.",
        ),
    }
}
_MODEL: Sections = {
    "Commands": {
        "scan": (
            "prometheus_ai.cli.supply.model_scan:scan",
            "Say what loading a model file would run.",
        ),
        "sign": ("prometheus_ai.cli.supply.model_sign:sign", "Sign the model of a release."),
    }
}
_KEY: Sections = {
    "Commands": {
        "create": ("prometheus_ai.cli.supply.key_create:create", "Make a key to sign with."),
    }
}
_IMAGE: Sections = {
    "Commands": {
        "plan": (
            "prometheus_ai.cli.containers.image_plan:plan",
            "Show what would be built, and why.",
        ),
        "build": (
            "prometheus_ai.cli.containers.image_build:build",
            "Build the image that a deploy would run.",
        ),
        "eject": (
            "prometheus_ai.cli.containers.image_eject:eject",
            "Write files that build the same image without pai.",
        ),
        "analyze": (
            "prometheus_ai.cli.containers.image_analyze:analyze",
            "Say what an image is made of and what could go.",
        ),
        "scan": (
            "prometheus_ai.cli.supply.image_scan:scan",
            "Look into a saved image: packages, weaknesses, credentials, models.",
        ),
        "push": (
            "prometheus_ai.cli.distribution.image_push:push",
            "Push a saved image with its attestations.",
        ),
        "pull": (
            "prometheus_ai.cli.distribution.image_pull:pull",
            "Pull an image into a file, verified.",
        ),
        "sign": (
            "prometheus_ai.cli.distribution.image_sign:sign",
            "Sign an image at its image registry, in both of cosign's forms.",
        ),
        "verify": (
            "prometheus_ai.cli.distribution.image_verify:verify",
            "Verify the signatures over an image where it lies.",
        ),
        "sbom": (
            "prometheus_ai.cli.supply.image_sbom:sbom",
            "List the packages of a saved image as CycloneDX.",
        ),
        "history": (
            "prometheus_ai.cli.containers.image_history:history",
            "Show recorded builds.",
        ),
    }
}
_TARGET: Sections = {
    "Commands": {
        "add": ("prometheus_ai.cli.containers.target_add:add", "Add a Docker Engine to run on."),
        "list": (
            "prometheus_ai.cli.containers.target_list:list_targets",
            "Show every place to run.",
        ),
        "remove": (
            "prometheus_ai.cli.containers.target_remove:remove",
            "Forget a target that nothing runs on.",
        ),
    }
}
_EXPORT: Sections = {
    "Commands": {
        "compose": (
            "prometheus_ai.cli.containers.export_compose:compose",
            "Write a Compose file that runs a release without pai.",
        ),
    }
}
_DECISIONS: Sections = {
    "Commands": {
        "list": (
            "prometheus_ai.cli.rollouts.decisions_list:list_decisions",
            "Show what was decided; the default.",
        ),
        "replay": (
            "prometheus_ai.cli.rollouts.decisions_replay:replay",
            "Make decisions again from what they saw.",
        ),
    }
}
_PAI: Sections = {
    "From model to backend": {
        "init": ("prometheus_ai.cli.ship.init:init", "Write a spec for a model file."),
        "schema": (
            "prometheus_ai.cli.ship.schema:schema",
            "Print the JSON Schema of specs, for editors.",
        ),
        "diff": ("prometheus_ai.cli.ship.diff:diff", "Show what a deploy would change."),
        "deploy": (
            "prometheus_ai.cli.ship.deploy:deploy",
            "Make a release of a spec and give it traffic.",
        ),
        "predict": ("prometheus_ai.cli.ship.predict:predict", "Ask a backend's model."),
    },
    "Traffic": {
        "route": ("prometheus_ai.cli.traffic.route:route", "Split traffic between releases."),
        "promote": (
            "prometheus_ai.cli.traffic.promote:promote",
            "Give all traffic to the newest release.",
        ),
        "rollback": (
            "prometheus_ai.cli.traffic.rollback:rollback",
            "Return traffic to the release before.",
        ),
        "rollout": (
            "prometheus_ai.cli.traffic.rollout:rollout",
            "Pause, resume, skip or abort a judged rollout.",
        ),
        "feedback": (
            "prometheus_ai.cli.traffic.feedback:feedback",
            "Say whether answers were right.",
        ),
        "scale": ("prometheus_ai.cli.traffic.scale:scale", "Set the number of replicas."),
        "delete": ("prometheus_ai.cli.traffic.delete:delete", "Delete a backend; its events stay."),
    },
    "What is so, and why": {
        "status": ("prometheus_ai.cli.watch.status:status", "Show all backends, or one in detail."),
        "releases": ("prometheus_ai.cli.watch.releases:releases", "Show the history of a backend."),
        "logs": ("prometheus_ai.cli.watch.logs:logs", "Show what replicas wrote."),
        "events": ("prometheus_ai.cli.watch.events:events", "Show who changed what, when and why."),
        "watch": (
            "prometheus_ai.cli.rollouts.watch:watch",
            "Watch a backend live: weights, verdict, latency, replicas.",
        ),
        "plan": ("prometheus_ai.cli.rollouts.plan:plan", "Show the schedule of a rollout."),
        "decisions": (
            "prometheus_ai.cli.main:decisions",
            "Show what was decided and from what, or decide it again.",
        ),
        "why": (
            "prometheus_ai.cli.watch.why:why",
            "Explain what runs, what is wanted and what is next.",
        ),
    },
    "What would be": {
        "suggest": (
            "prometheus_ai.cli.forecast.suggest:suggest",
            "Suggest what a backend should be given.",
        ),
        "simulate": (
            "prometheus_ai.cli.forecast.simulate:simulate",
            "Play traffic against specs on a virtual clock.",
        ),
    },
    "Supply chain": {
        "gate": ("prometheus_ai.cli.main:gate", "Explain what may run, and why."),
        "advisories": (
            "prometheus_ai.cli.main:advisories",
            "Keep known weaknesses of packages up to date.",
        ),
        "model": ("prometheus_ai.cli.main:model", "Scan and sign model files."),
        "key": ("prometheus_ai.cli.main:key", "Make keys to sign with."),
        "bundle": (
            "prometheus_ai.cli.main:bundle",
            "Carry releases to sites without a network.",
        ),
        "report": ("prometheus_ai.cli.main:report", "Report on rollouts, and on what runs."),
    },
    "Governance": {
        "audit": ("prometheus_ai.cli.main:audit", "Verify or export the tamper-evident log."),
        "token": ("prometheus_ai.cli.main:token", "Make, list and revoke API tokens."),
        "gc": ("prometheus_ai.cli.govern.gc:gc", "Remove artefacts that no release needs."),
    },
    "Targets and images": {
        "target": ("prometheus_ai.cli.main:target", "Add, list and remove places to run."),
        "export": ("prometheus_ai.cli.main:export", "Write files that run a backend without pai."),
        "image": ("prometheus_ai.cli.main:image", "Plan, build, eject and judge images."),
    },
    "This machine": {
        "up": ("prometheus_ai.cli.machine.up:up", "Start the platform here."),
        "down": ("prometheus_ai.cli.machine.down:down", "Stop everything that `pai up` started."),
        "doctor": (
            "prometheus_ai.cli.machine.doctor:doctor",
            "Check this machine and say what to fix.",
        ),
        "version": ("prometheus_ai.cli.machine.version:version", "Print the version."),
        "completion": (
            "prometheus_ai.cli.machine.completion:completion",
            "Print shell completion.",
        ),
        "server": ("prometheus_ai.cli.machine.server:server", "Run the control plane alone."),
        "gateway": ("prometheus_ai.cli.machine.gateway:gateway", "Run the gateway alone."),
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
image = LazyGroup("image", sections=_IMAGE, help="Plan, build, eject and judge images.")
target = LazyGroup("target", sections=_TARGET, help="Add, list and remove places to run.")
export = LazyGroup("export", sections=_EXPORT, help="Write files that run a backend without pai.")
gate = LazyGroup("gate", sections=_GATE, help="Explain what may run, and why.")
advisories = LazyGroup(
    "advisories", sections=_ADVISORIES, help="Keep known weaknesses of packages up to date."
)
model = LazyGroup("model", sections=_MODEL, help="Scan and sign model files.")
key = LazyGroup("key", sections=_KEY, help="Make keys to sign with.")
report = LazyGroup("report", sections=_REPORT, help="Report on rollouts, and on what runs.")
bundle = LazyGroup("bundle", sections=_BUNDLE, help="Carry releases to sites without a network.")
decisions = DefaultGroup(
    "decisions",
    sections=_DECISIONS,
    help="Show what was decided about a backend and from what, or decide it again.",
)
