"""Masking of passwords and keys in addresses and settings."""

from __future__ import annotations

import re

MASK = "***"

_IN_ADDRESS = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]*://)
        (?: [^\s/?\#'"<>@]*@ (?:[^\s/?\#'"<>@]*@)*  # up to the last @ of the host
          | [^\s/?\#'"<>:@]+ : (?!\d+[/,\s'"]) [^\s'"<>]*@ )          # a password with a slash in it
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SECRET_NAME = (
    r"[\w.\-]*(?:password|passwd|pwd|secret|token|signature|credential|access[-_.]?key|api[-_.]?key"
    r"|private[-_.]?key|account[-_.]?key|session[-_.]?key|sas[-_.]?key)[\w.\-]*"
)
_GIVEN = re.compile(
    rf"""(?P<name>(?<![\w.\-])(?:{_SECRET_NAME}|(?<=[?&])(?:sig|key|auth|pass|pw))(?:=|%3D))
         (?P<value>"[^"]*"|'[^']*'|[^&;\s'",]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTED = re.compile(
    rf"""(?P<name>(?P<quote>["']){_SECRET_NAME}(?P=quote)\s*:\s*)(?P<value>"[^"]*"|'[^']*')""",
    re.IGNORECASE | re.VERBOSE,
)


def masked(text: str) -> str:
    """Return `text` with *** for what an address has before its host, and for values of secret names.

    Whatever is said, logged or stored goes through here; what is used does not. `http://user:pw@host`
    becomes `http://***@host`, `?token=x` becomes `?token=***`, and likewise `"password": "x"` in JSON.
    """
    if "://" in text:
        text = _IN_ADDRESS.sub(rf"\g<scheme>{MASK}@", text)
    if "=" in text or "%3" in text:
        text = _GIVEN.sub(rf"\g<name>{MASK}", text)
    return _QUOTED.sub(rf'\g<name>"{MASK}"', text) if ":" in text else text


def masked_values(value: object) -> object:
    """Return a structure of mappings and lists with its texts masked, and values under secret names too."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        secret = re.compile(_SECRET_NAME, re.IGNORECASE)
        return {
            name: MASK if isinstance(one, str) and secret.fullmatch(str(name)) else masked_values(one)
            for name, one in value.items()
        }
    return [masked_values(one) for one in value] if isinstance(value, (list, tuple)) else value
