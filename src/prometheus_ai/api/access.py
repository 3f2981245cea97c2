"""Who may call a route: declared beside it, checked before it."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from prometheus_ai.control.control_plane import ControlPlane
from prometheus_ai.domain.errors import Unauthenticated
from prometheus_ai.domain.event import Role, Token

_bearer = HTTPBearer(
    auto_error=False, description="An API token: `pai token create NAME --role ROLE` makes one."
)
Presented = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def control_of(request: Request) -> ControlPlane:
    """Return the control plane that this application serves."""
    control: ControlPlane = request.app.state.control
    return control


Control = Annotated[ControlPlane, Depends(control_of)]


class Needs:
    """A dependency that lets a token with at least ``role`` pass, and returns it."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __call__(self, control: Control, presented: Presented) -> Token:
        """Authenticate and authorise one request.

        Raises:
            Unauthenticated: no valid token was sent.
            Refused: its role is too small.
        """
        if presented is None:
            raise Unauthenticated(
                "no bearer token was sent", hint="send the header `Authorization: Bearer TOKEN`"
            )
        token = control.authenticate(presented.credentials)
        control.authorise(token, self.role)
        return token


Viewer = Annotated[Token, Depends(Needs(Role.VIEWER))]
Deployer = Annotated[Token, Depends(Needs(Role.DEPLOYER))]
Admin = Annotated[Token, Depends(Needs(Role.ADMIN))]
