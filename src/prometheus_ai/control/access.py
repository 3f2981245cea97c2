"""Access: API tokens, shown once and kept as hashes."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from prometheus_ai.control.journal import Change, note
from prometheus_ai.control.plane import Plane
from prometheus_ai.control.requests import Asker
from prometheus_ai.domain.errors import InvalidInput, NotFound, Refused, Unauthenticated
from prometheus_ai.domain.event import Kind, Role, Token
from prometheus_ai.domain.secret import hash_token, is_well_formed, matches, new_token

TOKENS_MAX = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenView:
    """A token without its secret."""

    id: str
    name: str
    role: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NewToken:
    """A token just made: the only time its secret is seen."""

    token: TokenView
    secret: str


def create_token(plane: Plane, name: str, role: str, asker: Asker) -> NewToken:
    """Make a token.

    Raises:
        InvalidInput: the name is empty or too long, or the role is unknown.
        Refused: there are too many tokens.
    """
    if not 1 <= len(name) <= 100:
        raise InvalidInput("a token's name has 1 to 100 characters")
    if role not in list(Role):
        raise InvalidInput(f"role {role!r} is unknown", hint=f"roles: {', '.join(Role)}")
    display, secret_hash = new_token(secrets.token_bytes(32))
    token = Token(
        id=secrets.token_hex(4),
        name=name,
        role=Role(role),
        secret_hash=secret_hash,
        created_at=plane.clock.now(),
    )
    with plane.store.write() as tx:
        if sum(1 for held in tx.tokens() if held.revoked_at is None) >= TOKENS_MAX:
            raise Refused(f"there are already {TOKENS_MAX} tokens", hint="revoke some first")
        tx.put_token(token)
        note(
            plane,
            tx,
            Kind.TOKEN_CREATED,
            Change(
                actor=asker.actor,
                reason=asker.reason or "token create",
                after={"id": token.id, "name": name, "role": role},
            ),
        )
    return NewToken(token=_view(token), secret=display.reveal())


def list_tokens(plane: Plane) -> tuple[TokenView, ...]:
    """Return all tokens, revoked ones included."""
    with plane.store.read() as reading:
        return tuple(_view(token) for token in reading.tokens())


def revoke_token(plane: Plane, token_id: str, asker: Asker) -> TokenView:
    """Revoke a token at once.

    Raises:
        NotFound: there is no such token.
    """
    with plane.store.write() as tx:
        token = next((held for held in tx.tokens() if held.id == token_id), None)
        if token is None:
            raise NotFound(f"there is no token {token_id!r}", hint="`pai token list` shows them")
        if token.revoked_at is None:
            token = replace(token, revoked_at=plane.clock.now())
            tx.put_token(token)
            note(
                plane,
                tx,
                Kind.TOKEN_REVOKED,
                Change(
                    actor=asker.actor,
                    reason=asker.reason or "token revoke",
                    after={"id": token.id, "name": token.name},
                ),
            )
    return _view(token)


def authenticate(plane: Plane, secret: str) -> Token:
    """Return the token with this secret.

    Raises:
        Unauthenticated: there is none, or it was revoked.
    """
    if not is_well_formed(secret):
        raise Unauthenticated(
            "the token is not valid: it was mistyped or cut off",
            hint="a token is pai_ and 49 letters and digits; copy it whole into PAI_TOKEN",
        )
    with plane.store.read() as reading:
        token = reading.token_by_hash(hash_token(secret))
    if token is None or token.revoked_at is not None or not matches(secret, token.secret_hash):
        raise Unauthenticated(
            "the token is not valid", hint="make one with `pai token create`, and set PAI_TOKEN"
        )
    return token


def authorise(token: Token, needed: Role) -> None:
    """Check that a token may do what ``needed`` may.

    Raises:
        Refused: its role is too small.
    """
    if not token.role.allows(needed):
        raise Refused(
            f"token {token.name!r} is a {token.role.value}; this needs the role {needed.value}",
            hint="use a token with that role",
        )


def _view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        role=token.role.value,
        created_at=token.created_at,
        revoked_at=token.revoked_at,
    )
