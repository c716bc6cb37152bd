"""How an object leaves: JSON as it is stored, protobuf, a table, its metadata alone; indented, or as YAML.

A *form* turns entries of the cache into bytes. The JSON form passes on what the cache holds; the others are made when
asked for, in steps that are short enough to be taken on the loop. `negotiation` says which form a client gets (it
reads the Accept header by `accept`), `answers` makes responses of forms. Nothing here knows requests or users.
"""

from kaa.server.forms.accept import JSON_TYPE, PROTOBUF_TYPE, YAML_TYPE
from kaa.server.forms.answers import render, render_list, render_object, render_status
from kaa.server.forms.api import Form, wire_of
from kaa.server.forms.binary import PROTOBUF, ProtobufForm
from kaa.server.forms.negotiation import choose
from kaa.server.forms.people import for_people
from kaa.server.forms.plain import JSON
from kaa.server.forms.table import TableForm

__all__ = [
    "JSON",
    "JSON_TYPE",
    "PROTOBUF",
    "PROTOBUF_TYPE",
    "YAML_TYPE",
    "Form",
    "ProtobufForm",
    "TableForm",
    "choose",
    "for_people",
    "render",
    "render_list",
    "render_object",
    "render_status",
    "wire_of",
]
