"""The option that names a private key."""

import click

key_option = click.option(
    "--key", metavar="KEY",
    help="Private key: a PKCS8 PEM file, or exec:PROGRAM for a key that a program keeps; "
    "PAI_SIGNING_KEY when left out.",
)  # fmt: skip
public_keys_option = click.option(
    "--public-key", "keys", multiple=True, metavar="FILE",
    type=click.Path(exists=True, dir_okay=False), help="A public key (PEM) that may have signed.",
)  # fmt: skip
