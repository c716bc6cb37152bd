"""Custom resources at run time: definitions become kinds that are served, and go again.

- `registrar`: follows the definitions; names, conditions, kinds served, deletion with all objects.
- `conversion`: one version of an object from another: by its name alone, or by a webhook, in batches.
"""

from kaa.server.customresources.conversion import Conversions
from kaa.server.customresources.registrar import Registrar

__all__ = ["Conversions", "Registrar"]
