"""What a person may do: pages leave out the buttons of what they may not."""

from catalog.services.domains import require_registrar
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError


def may_register(actor: Actor) -> bool:
    """Whether the person may register streams."""
    try:
        require_registrar(actor)
    except NotPermittedError:
        return False
    return True
