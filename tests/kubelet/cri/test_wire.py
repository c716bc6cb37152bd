"""The wire format, byte by byte, and that nothing is lost on the way there and back."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaa.kubelet.cri import api
from kaa.kubelet.cri import messages as m
from kaa.kubelet.cri.containerd_events import _Any, _Envelope, _event, _Timestamp
from kaa.kubelet.cri.wire import BOOL, BOX, INT, STR, Malformed, Message, mapping, repeated


@dataclass(frozen=True)
class Thing:
    number: int = 0
    text: str = ""
    numbers: Any = ()
    words: Any = ()
    pairs: Any = dataclasses.field(default_factory=dict)
    maybe: int | None = None
    inner: "Thing | None" = None
    yes: bool = False


INNER = Message(Thing, {"number": (1, INT)})
THING = Message(
    Thing,
    {
        "number": (1, INT),
        "text": (2, STR),
        "numbers": (3, repeated(INT)),
        "words": (4, repeated(STR)),
        "pairs": (5, mapping()),
        "maybe": (6, BOX),
        "inner": (7, INNER.kind),
        "yes": (16, BOOL),
    },
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Thing(), ""),
        (Thing(number=150), "08 96 01"),
        (Thing(number=-1), "08 ff ff ff ff ff ff ff ff ff 01"),
        (Thing(text="testing"), "12 07 74 65 73 74 69 6e 67"),
        (Thing(numbers=[3, 270, 86942]), "1a 06 03 8e 02 9e a7 05"),
        (Thing(words=["a", ""]), "22 01 61 22 00"),
        (Thing(pairs={"k": "v"}), "2a 06 0a 01 6b 12 01 76"),
        (Thing(maybe=0), "32 00"),
        (Thing(maybe=5), "32 02 08 05"),
        (Thing(inner=Thing(number=150)), "3a 03 08 96 01"),
        (Thing(inner=Thing()), "3a 00"),
        (Thing(yes=True), "80 01 01"),
    ],
)
def test_bytes(value: Thing, data: str) -> None:
    assert THING.encode(value).hex(" ") == data
    assert THING.decode(bytes.fromhex(data)) == value


@given(
    st.builds(
        Thing,
        number=st.integers(-(2**63), 2**63 - 1),
        text=st.text(),
        numbers=st.lists(st.integers(-(2**31), 2**31), min_size=1),
        words=st.lists(st.text(), min_size=1),
        pairs=st.dictionaries(st.text(), st.text(), min_size=1),
        maybe=st.none() | st.integers(-(2**63), 2**63 - 1),
        inner=st.none() | st.builds(Thing, number=st.integers(0, 2**31)),
        yes=st.booleans(),
    )
)
def test_there_and_back(value: Thing) -> None:
    assert THING.decode(THING.encode(value)) == value


def test_unknown_fields_are_skipped_and_unpacked_numbers_are_read() -> None:
    unknown = "f8 01 05 f2 01 02 61 62 fd 01 00 00 00 00 f9 01 00 00 00 00 00 00 00 00"
    assert THING.decode(bytes.fromhex(unknown + "18 03 18 04 08 07")) == Thing(number=7, numbers=[3, 4])


@pytest.mark.parametrize("data", ["08", "12 05 61", "0b", "08 ff ff ff ff ff ff ff ff ff ff ff 01"])
def test_broken_messages(data: str) -> None:
    with pytest.raises((Malformed, IndexError)):
        THING.decode(bytes.fromhex(data))


def test_a_full_container_configuration_comes_back() -> None:
    config = api.ContainerConfig(
        metadata=api.ContainerMetadata("main", 3),
        image=api.ImageSpec("sha256:abc", {"a": "b"}, "busybox", "runc"),
        command=["sh"],
        args=["-c", "true"],
        working_dir="/w",
        envs=[("A", "1"), ("EMPTY", "")],
        mounts=[api.Mount("/c", "/h", True, api.Propagation.BIDIRECTIONAL)],
        devices=[api.Device("/dev/x", "/dev/y", "r")],
        labels={"l": "1"},
        annotations={"a": "2"},
        log_path="x.log",
        stdin=True,
        stdin_once=True,
        tty=True,
        linux=api.LinuxContainer(
            api.ContainerResources(
                100_000, -1, 512, 1 << 40, -997, "0-1", "0", [api.HugepageLimit("2MB", 4)], {"u": "v"}
            ),
            api.ContainerSecurity(
                capabilities=api.Capabilities(["A"], ["ALL"], ["B"]),
                privileged=True,
                namespaces=api.NamespaceOptions(
                    api.NamespaceMode.NODE, api.NamespaceMode.TARGET, api.NamespaceMode.POD, "target"
                ),
                run_as_user=0,
                run_as_group=7,
                supplemental_groups=[1, 2],
                readonly_rootfs=True,
                no_new_privs=True,
                masked_paths=["/proc/kcore"],
                readonly_paths=["/proc/sys"],
                seccomp=api.SecurityProfile(api.ProfileType.LOCALHOST, "/p.json"),
                apparmor=api.SecurityProfile(api.ProfileType.UNCONFINED),
            ),
        ),
        cdi_devices=["vendor/class=x"],
        stop_signal="SIGUSR1",
    )
    assert m.CONTAINER_CONFIG.decode(m.CONTAINER_CONFIG.encode(config)) == config


@pytest.mark.parametrize(
    ("word", "number"),
    [("SIGABRT", 1), ("SIGTERM", 23), ("SIGXFSZ", 34), ("SIGRTMIN", 35), ("SIGRTMAX-14", 51), ("SIGRTMAX", 65)],
)
def test_signals_have_the_protocols_numbers(word: str, number: int) -> None:
    assert m.SIGNALS[word] == number


def test_a_status_with_addresses() -> None:
    status = api.SandboxStatus(
        "i", ips=["10.0.0.1", "fd00::1"], namespaces=api.NamespaceOptions(pid=api.NamespaceMode.POD)
    )
    assert m.SANDBOX_STATUS.decode(m.SANDBOX_STATUS.encode(status)) == status


ENVELOPE = _Envelope(_Timestamp(2, 5), "k8s.io", "/tasks/exit", _Any("t", b"\x0a\x01c\x12\x01c\x18\x07\x20\x89\x01"))


@pytest.mark.parametrize(
    ("envelope", "event"),
    [
        (ENVELOPE, api.RuntimeEvent(api.EventKind.STOPPED, "c", "", 2_000_000_005, 137)),
        (dataclasses.replace(ENVELOPE, namespace="moby"), None),
        (dataclasses.replace(ENVELOPE, topic="/snapshot/remove"), None),
        (dataclasses.replace(ENVELOPE, event=_Any("t", b"\x0a\x01c\x12\x04exec")), None),
        (
            dataclasses.replace(ENVELOPE, topic="/tasks/oom", event=_Any("t", b"\x0a\x01c")),
            api.RuntimeEvent(api.EventKind.OOM, "c", "", 2_000_000_005),
        ),
    ],
)
def test_containerds_own_events(envelope: _Envelope, event: api.RuntimeEvent | None) -> None:
    assert _event(envelope) == event
