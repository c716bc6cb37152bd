"""Kubernetes' own libraries, by the examples of their documentation. An expected text after `!` is an error."""

from typing import Any

import pytest

from kaa import cel

ENV = cel.Environment({"self": cel.DYN})

TABLES: dict[str, list[tuple[str, Any]]] = {
    "lists": [
        ("[1, 2, 3].isSorted()", True),
        ("[2, 1].isSorted()", False),
        ("['a', 'b', 'b', 'c'].isSorted()", True),
        ("[2.0, 1.0].isSorted()", False),
        ("[].isSorted()", True),
        ("[1, 3].sum()", 4),
        ("[1.0, 3.0].sum()", 4.0),
        ("['1m', '1s'].map(d, duration(d)).sum() == duration('1m1s')", True),
        ("[].sum() == 0", True),
        ("[1, 3].min()", 1),
        ("[1, 3].max()", 3),
        ("['a', 'c', 'b'].max()", "c"),
        ("[dyn(1)].filter(i, false).min()", "!min called on empty list"),
        ("[1, 2, 2, 3].indexOf(2)", 1),
        ("['a', 'b', 'b', 'c'].lastIndexOf('b')", 2),
        ("[1.0].indexOf(1.1)", -1),
        ("['a'].indexOf('')", -1),
        ("[9223372036854775807, 1].sum()", "!integer overflow"),
    ],
    "sets": [
        ("sets.contains([], [])", True),
        ("sets.contains([1], [])", True),
        ("sets.contains([1, 2, 3, 4], [2, 3])", True),
        ("sets.contains([1, 2], [3])", False),
        ("sets.equivalent([1, 2], [2, 1, 1])", True),
        ("sets.equivalent([1], [1, 2])", False),
        ("sets.intersects([1], [1, 2])", True),
        ("sets.intersects([1], [])", False),
    ],
    "regular expressions": [
        ("'abc 123'.find('[0-9]+')", "123"),
        ("'abc 123'.find('xyz')", ""),
        ("'123 abc 456'.findAll('[0-9]+')", ["123", "456"]),
        ("'123 abc 456'.findAll('[0-9]+', 1)", ["123"]),
        ("'123 abc 456'.findAll('[0-9]+', 0)", []),
        ("'123 abc'.findAll('xyz')", []),
        ("'héllo'.find('l+')", "ll"),
        ("'a'.matches(dyn('('))", "!error parsing regexp: missing ): ("),
    ],
    "numbers": [
        ("math.greatest(1, 3, 2)", 3),
        ("math.least(1.0, 2.0)", 1.0),
        ("math.greatest([1, 5, 2])", 5),
        ("math.least(1, 2.5)", 1),
        ("math.ceil(1.2)", 2.0),
        ("math.floor(-1.2)", -2.0),
        ("math.round(1.5)", 2.0),
        ("math.round(-1.5)", -2.0),
        ("math.trunc(-1.9)", -1.0),
        ("math.abs(-3)", 3),
        ("math.sign(-2.5)", -1.0),
        ("math.isNaN(0.0 / 0.0)", True),
        ("math.isInf(1.0 / 0.0)", True),
        ("math.isFinite(1.0)", True),
        ("math.bitAnd(6, 3)", 2),
        ("math.bitOr(6, 3)", 7),
        ("math.bitXor(6, 3)", 5),
        ("math.bitNot(1)", -2),
        ("math.bitShiftLeft(1, 3)", 8),
        ("math.bitShiftRight(-1, 60)", 15),
        ("math.bitShiftLeft(1, -1)", "!math.bitShiftLeft() negative offset: -1"),
    ],
    "URLs": [
        ("url('https://example.com:80/path?k=v&k=w#f').getScheme()", "https"),
        ("url('https://example.com:80/').getHost()", "example.com:80"),
        ("url('https://example.com/').getHost()", "example.com"),
        ("url('https://[::1]:80/').getHost()", "[::1]:80"),
        ("url('https://[::1]:80/').getHostname()", "::1"),
        ("url('https://example.com:80/').getHostname()", "example.com"),
        ("url('https://example.com:80/').getPort()", "80"),
        ("url('/path').getHostname()", ""),
        ("url('/path').getPort()", ""),
        ("url('https://example.com/path').getEscapedPath()", "/path"),
        ("url('https://example.com/path with spaces/').getEscapedPath()", "/path%20with%20spaces/"),
        ("url('https://example.com').getEscapedPath()", ""),
        ("url('https://example.com/path?k1=a&k2=b&k2=c').getQuery()['k2']", ["b", "c"]),
        ("url('https://example.com/path?').getQuery()", {}),
        ("isURL('https://user:pass@example.com:80/')", True),
        ("isURL('/absolute-path')", True),
        ("isURL('../relative')", False),
        ("isURL('https://a:b:c/')", False),
        ("url('../relative')", "!URL parse error during conversion from string"),
    ],
    "addresses": [
        ("isIP('127.0.0.1')", True),
        ("isIP('::1')", True),
        ("isIP('256.0.0.1')", False),
        ("isIP('127.0.0.01')", False),
        ("isIP('fe80::1%en0')", False),
        ("isIP('::ffff:1.2.3.4')", False),
        ("ip('127.0.0.1').family()", 4),
        ("ip('::1').family()", 6),
        ("ip('127.0.0.1').isLoopback()", True),
        ("ip('0.0.0.0').isUnspecified()", True),
        ("ip('224.0.0.1').isLinkLocalMulticast()", True),
        ("ip('ff02::1').isLinkLocalMulticast()", True),
        ("ip('169.254.1.1').isLinkLocalUnicast()", True),
        ("ip('192.168.0.1').isGlobalUnicast()", True),
        ("ip('255.255.255.255').isGlobalUnicast()", False),
        ("ip.isCanonical('127.0.0.1')", True),
        ("ip.isCanonical('2001:DB8::1')", False),
        ("ip('2001:db8::1') == ip('2001:DB8::1')", True),
        ("string(ip('2001:DB8::1'))", "2001:db8::1"),
        ("type(ip('::1')) == net.IP", True),
        ("ip('nope')", "!IP Address \"nope\" parse error"),
        ("isCIDR('192.168.0.0/16')", True),
        ("isCIDR('192.168.0.0')", False),
        ("isCIDR('192.168.0.0/33')", False),
        ("cidr('192.168.0.0/24').containsIP(ip('192.168.0.1'))", True),
        ("cidr('192.168.0.0/24').containsIP('192.168.1.1')", False),
        ("cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24'))", True),
        ("cidr('192.168.0.0/16').containsCIDR('192.0.0.0/8')", False),
        ("cidr('192.168.0.1/24').ip() == ip('192.168.0.1')", True),
        ("cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')", True),
        ("cidr('192.168.0.0/24').prefixLength()", 24),
        ("cidr('::1/128').ip().family()", 6),
        ("type(cidr('::1/128')) == net.CIDR", True),
    ],
    "quantities": [
        ("isQuantity('1.3Gi')", True),
        ("isQuantity('1,3G')", False),
        ("isQuantity('200K')", False),
        ("isQuantity('Three')", False),
        ("quantity('50k').asInteger()", 50000),
        ("quantity('50000000G').isInteger()", True),
        ("quantity('9999999999999999999999999999999999999G').isInteger()", False),
        ("quantity('9999999999999999999999999999999999999G').asInteger()", "!cannot convert value to integer"),
        ("quantity('1.5').asInteger()", "!cannot convert value to integer"),
        ("quantity('50k').sub(20000).asApproximateFloat()", 30000.0),
        ("quantity('50k').sign()", 1),
        ("quantity('-1').sign()", -1),
        ("quantity('50k').add(quantity('20k')) == quantity('70k')", True),
        ("quantity('50k').add(20) == quantity('50020')", True),
        ("quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')", True),
        ("quantity('200M').compareTo(quantity('0.2G'))", 0),
        ("quantity('50M').compareTo(quantity('50Mi'))", -1),
        ("quantity('150Mi').isGreaterThan(quantity('100Mi'))", True),
        ("quantity('50M').isLessThan(quantity('100M'))", True),
        ("quantity('10Mi') == quantity('10240Ki')", True),
        ("quantity('three')", "!quantities must match the regular expression"),
    ],
    "versions": [
        ("isSemver('1.0.0')", True),
        ("isSemver('hello')", False),
        ("isSemver('v1.0')", False),
        ("isSemver('v1.0', true)", True),
        ("semver('1.2.3').major()", 1),
        ("semver('1.2.3').minor()", 2),
        ("semver('1.2.3').patch()", 3),
        ("semver('1.2.3').compareTo(semver('1.2.3'))", 0),
        ("semver('1.2.3').compareTo(semver('2.0.0'))", -1),
        ("semver('1.2.3').compareTo(semver('0.1.2'))", 1),
        ("semver('1.2.3').isGreaterThan(semver('1.2.3-rc.1'))", True),
        ("semver('1.0.0-alpha.2').isLessThan(semver('1.0.0-alpha.10'))", True),
        ("semver('01.01.01', true) == semver('1.1.1')", True),
        ("semver('1.0', true).patch()", 0),
        ("semver('1.0')", "!No Major.Minor.Patch elements found"),
        ("semver('1.0-beta', true)", "!short version cannot contain PreRelease/Build meta data"),
    ],
    "formats": [
        ("format.dns1123Label().validate('contains a space').hasValue()", True),
        ("format.dns1123Label().validate('my-label-name').hasValue()", False),
        ("format.dns1123Subdomain().validate('apiextensions.k8s.io').hasValue()", False),
        ("format.dns1035Label().validate('1a').hasValue()", True),
        ("format.qualifiedName().validate('apiextensions.k8s.io/v1beta1').hasValue()", False),
        ("format.dns1123LabelPrefix().validate('my-label-prefix-').hasValue()", False),
        ("format.dns1123SubdomainPrefix().validate('mysubdomain.prefix-').hasValue()", False),
        ("format.labelValue().validate('').hasValue()", False),
        ("format.uri().validate('http://example.com').hasValue()", False),
        ("format.uri().validate('nope').value()[0]", 'parse "nope": invalid URI for request'),
        ("format.uuid().validate('123e4567-e89b-12d3-a456-426614174000').hasValue()", False),
        ("format.uuid().validate('x').value()", ["does not match the UUID format"]),
        ("format.byte().validate('aGVsbG8=').hasValue()", False),
        ("format.byte().validate('a').value()", ["invalid base64"]),
        ("format.date().validate('2021-01-01').hasValue()", False),
        ("format.date().validate('2021-13-01').value()", ["invalid date"]),
        ("format.datetime().validate('2021-01-01T00:00:00Z').hasValue()", False),
        ("format.datetime().validate('x').value()", ["invalid datetime"]),
        ("format.named('dns1123Label').hasValue()", True),
        ("format.named('nope').hasValue()", False),
        ("!format.named('uuid').value().validate('x').hasValue()", False),
    ],
    "patches": [
        ("jsonpatch.escapeKey('k8s.io/my~label')", "k8s.io~1my~0label"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [pytest.param(*row, id=f"{name}: {row[0]}"[:110]) for name, rows in TABLES.items() for row in rows],
)
def test_value(expression: str, expected: Any) -> None:
    program = ENV.compile(expression)
    if isinstance(expected, str) and expected.startswith("!"):
        with pytest.raises(cel.EvaluationError) as caught:
            program.evaluate({"self": {}})
        assert str(caught.value).startswith(expected[1:])
    else:
        found = program.evaluate({"self": {}})
        assert type(found) is type(expected) or not isinstance(expected, bool)
        assert list(found) == expected if isinstance(expected, list) else found == expected


class Rules:
    """Allows what it is told, and remembers what was asked."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed
        self.asked: list[cel.Access] = []

    def decide(self, access: cel.Access) -> cel.Decision:
        self.asked.append(access)
        if access.verb == "explode":
            return cel.Decision(False, error="no connection")
        return cel.Decision(access.verb in self.allowed, reason=f"rule for {access.verb}")


AUTHORIZED: list[tuple[str, Any, cel.Access | None]] = [
    (
        "authorizer.group('apps').resource('deployments').subresource('scale').namespace('ns').name('web')"
        ".check('get').allowed()",
        True,
        cel.Access(
            verb="get", group="apps", resource="deployments", subresource="scale", namespace="ns", name="web"
        ),
    ),
    ("authorizer.group('').resource('pods').check('delete').allowed()", False, None),
    ("authorizer.group('').resource('pods').check('get').reason()", "rule for get", None),
    ("authorizer.path('/healthz').check('get').allowed()", True, cel.Access(verb="get", path="/healthz")),
    (
        "authorizer.serviceAccount('ns', 'bot').group('').resource('pods').check('get').allowed()",
        True,
        cel.Access(verb="get", resource="pods", service_account=("ns", "bot")),
    ),
    (
        "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=n').labelSelector('a=b').check('list')"
        ".allowed()",
        False,
        cel.Access(verb="list", resource="pods", field_selector="spec.nodeName=n", label_selector="a=b"),
    ),
    ("authorizer.group('').resource('pods').check('explode').errored()", True, None),
    ("authorizer.group('').resource('pods').check('explode').error()", "no connection", None),
    ("authorizer.path(' ').check('get').allowed()", "!path must not be empty", None),
    ("authorizer.group('').resource('').check('get').allowed()", "!resource must not be empty", None),
    ("authorizer.serviceAccount('a@b', 'x').path('/').check('get').allowed()", "!Invalid service account namespace",
     None),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected", "asked"), AUTHORIZED)
def test_authorizer(expression: str, expected: Any, asked: cel.Access | None) -> None:
    rules = Rules("get")
    program = cel.Environment({"authorizer": cel.AUTHORIZER}).compile(expression)
    bindings = {"authorizer": cel.AuthorizerValue(rules)}
    if isinstance(expected, str) and expected.startswith("!"):
        with pytest.raises(cel.EvaluationError, match=expected[1:]):
            program.evaluate(bindings)
        return
    assert program.evaluate(bindings) == expected
    if asked is not None:
        assert rules.asked == [asked]


def test_the_resource_of_the_request() -> None:
    rules = Rules("get")
    asked = cel.Access(group="apps", resource="deployments", namespace="ns", name="web")
    env = cel.Environment({"authorizer": cel.AUTHORIZER, "authorizer.requestResource": cel.RESOURCE_CHECK})
    program = env.compile("authorizer.requestResource.subresource('scale').check('get').allowed()", cel.BOOL)
    assert program.used == {"authorizer.requestResource"}
    assert program.evaluate({"authorizer.requestResource": cel.ResourceCheck(rules, asked)}) is True
    assert rules.asked == [
        cel.Access(verb="get", group="apps", resource="deployments", subresource="scale", namespace="ns", name="web")
    ]


def test_three_checks_are_more_than_an_evaluation_may_cost() -> None:
    rules = Rules("get")
    once = "authorizer.path('/a').check('get').allowed()"
    env = cel.Environment({"authorizer": cel.AUTHORIZER})
    value, cost = env.compile(f"{once} && {once}").evaluate_costing({"authorizer": cel.AuthorizerValue(rules)})
    assert (value, cost) == (True, 2 * (350_000 + 3))
    with pytest.raises(cel.BudgetExceeded):
        env.compile(f"{once} && {once} && {once}").evaluate({"authorizer": cel.AuthorizerValue(rules)})


def test_objects_of_mutating_policies() -> None:
    env = cel.Environment({"object": cel.DYN}, objects=cel.MUTATION_OBJECTS)
    made = env.compile(
        "Object{metadata: Object.metadata{annotations: {'a': 'b'}}, spec: Object.spec{replicas: object.n + 1, "
        "?paused: optional.none(), template: [Object.spec.template{name: 'x'}]}}"
    ).evaluate({"object": {"n": 1}})
    cel.verify_object(made)
    assert cel.to_json(made) == {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {"replicas": 2, "template": [{"name": "x"}]},
    }
    wrong = env.compile("Object{spec: Object.metadata{name: 'x'}}").evaluate({"object": {}})
    with pytest.raises(cel.EvaluationError) as caught:
        cel.verify_object(wrong)
    assert str(caught.value) == (
        'unexpected type name "Object.metadata", expected "Object.spec", which matches field name path from root '
        "Object type"
    )


def test_json_patches_are_typed() -> None:
    env = cel.Environment({"object": cel.DYN}, objects=cel.MUTATION_OBJECTS)
    made = env.compile("[JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('a/b'), value: 1}]")
    assert cel.to_json(made.evaluate({"object": {}})) == [{"op": "add", "path": "/metadata/labels/a~1b", "value": 1}]
    with pytest.raises(cel.CompileError, match="expected type of field 'op' is 'string' but provided type is 'int'"):
        env.compile("JSONPatch{op: 1}")
    with pytest.raises(cel.CompileError, match="undefined field 'nope'"):
        env.compile("JSONPatch{nope: 1}")
