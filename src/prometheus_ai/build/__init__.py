"""From a release to the plan of its image, and to the files that run it elsewhere.

A release with its lock and a base enter, and a Dockerfile with the small files it needs leaves;
from an image's facts suggestions leave.
Equal inputs give equal plans, to the byte.
It never touches a file, an engine or a network.
"""

from prometheus_ai.build.compose_file import Exported, compose_files
from prometheus_ai.build.plan import (
    MODEL_IN_CONTEXT,
    MOUNT_FROM_BYTES,
    PlanInputs,
    image_tag,
    plan_image,
)

__all__ = [
    "MODEL_IN_CONTEXT",
    "MOUNT_FROM_BYTES",
    "Exported",
    "PlanInputs",
    "compose_files",
    "image_tag",
    "plan_image",
]
