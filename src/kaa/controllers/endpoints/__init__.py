"""Who stands behind a Service.

- `behind`: which pods are a service's endpoints, on which ports. Pure.
- `slices`: from the endpoints there should be and the slices there are to the fewest writes. Pure.
- `writing`: carries those plans out.
- `endpointslice`, `legacy`, `mirroring`: the controllers for EndpointSlices, for the older Endpoints, and for slices
  that mirror hand-made Endpoints.
"""

from kaa.controllers.endpoints.endpointslice import EndpointSliceController
from kaa.controllers.endpoints.legacy import EndpointsController
from kaa.controllers.endpoints.mirroring import EndpointSliceMirroringController

__all__ = ["EndpointSliceController", "EndpointSliceMirroringController", "EndpointsController"]
