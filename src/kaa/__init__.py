"""Kaa: Kubernetes, in Python."""

__version__ = "0.1.0"

#: The release of the Kubernetes API this package speaks.
API_VERSION = "1.36"
#: What `/version` answers: clients compare major and minor, and read the rest.
GIT_VERSION = f"v1.36.0+kaa.{__version__}"
