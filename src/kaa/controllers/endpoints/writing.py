"""Slices by their service, and plans for them carried out."""

from collections.abc import Iterable

from kaa.controllers.endpoints.slices import SERVICE_NAME, SlicePlan
from kaa.kinds.views.net import EndpointSlice
from kaa.meta.errors import StatusError
from kaa.runtime import Session

__all__ = ["SLICES_BY_SERVICE", "carry_out", "slice_index"]

SLICES_BY_SERVICE = "slice-service"


def slice_index(slice_: EndpointSlice) -> Iterable[str]:
    """Under the service it is labelled with."""
    name = slice_.labels.get(SERVICE_NAME)
    return (f"{slice_.namespace}/{name}",) if name else ()


async def carry_out(io: Session, plan: SlicePlan) -> None:
    """Additions first: traffic that has a new place to go is not cut off from the old one before."""
    for body in plan.create:
        await io.create(EndpointSlice.resource, body)
    for slice_, patch in plan.patch:
        try:
            await io.patch(EndpointSlice.resource, slice_.name, patch, namespace=slice_.namespace)
        except StatusError as error:
            if error.code != 404:
                raise
    for slice_ in plan.delete:
        await io.delete(slice_)
