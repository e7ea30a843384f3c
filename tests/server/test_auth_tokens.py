"""Access tokens of an authorization server: which ones count, and what the others are told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wattproof.methodology.errors import InvalidInput, KeyUnusable
from wattproof.resources.providers.transport import open_client
from wattproof.server.app import build_server
from wattproof.server.auth.access_tokens import AccessTokens
from wattproof.server.auth.denial import Denial
from wattproof.server.auth.entrance import Entrance, entrance_of
from wattproof.server.auth.key_set import KeySet
from wattproof.server.auth.principal import SCOPES, Principal
from wattproof.server.auth.settings import OAuthSettings, oauth_settings, ways_in
from wattproof.server.http import build_http_app
from wattproof.server.settings import Settings, load_settings

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.issuer import Issuer

SECRET = b"s" * 32
RESOURCE = "https://watt.example/mcp"
METADATA = "https://watt.example/.well-known/oauth-protected-resource/mcp"
ACCEPT = {"Accept": "application/json, text/event-stream"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ESTIMATE = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> KeySet:
    return KeySet(issuer.jwks_url, open_client, clock)


@pytest.fixture
def tokens(issuer: Issuer, keys: KeySet) -> AccessTokens:
    return AccessTokens(issuer=issuer.url, audience=RESOURCE, keys=keys, secret=SECRET)


async def admitted(tokens: AccessTokens, token: str) -> Principal:
    found = await tokens.principal(token)
    assert isinstance(found, Principal), found
    return found


async def refused(tokens: AccessTokens, token: str) -> str:
    found = await tokens.principal(token)
    assert isinstance(found, Denial)
    assert (found.status, found.error) == (401, "invalid_token")
    return found.description


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1", "ed-1"])
async def test_a_token_of_the_issuer_for_this_server_counts(tokens: AccessTokens, issuer: Issuer, kid: str) -> None:
    found = await admitted(tokens, issuer.token(kid))
    assert (found.issuer, found.subject, found.scopes) == (issuer.url, "alice", frozenset(SCOPES))
    assert found.tenant.startswith("t_")
    assert "alice" not in repr(found)


async def test_an_rsa_key_may_sign_with_pss(tokens: AccessTokens, issuer: Issuer) -> None:
    await admitted(tokens, issuer.token("rsa-1", alg="PS256"))


async def test_each_subject_has_a_tenant_that_stays_the_same(tokens: AccessTokens, issuer: Issuer) -> None:
    alice, again = [await admitted(tokens, issuer.token()) for _ in range(2)]
    bob = await admitted(tokens, issuer.token(sub="bob"))
    assert alice.tenant == again.tenant != bob.tenant


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "estimate"}, {"estimate"}),
        ({"scope": "wattproof:infer estimates ESTIMATE"}, set[str]()),
        ({"scope": None, "scp": "infer audit"}, {"infer", "audit"}),
        ({"scope": None, "scp": ["infer", 7, "x"]}, {"infer"}),
        ({"scope": ["estimate"]}, {"estimate"}),
        ({"scope": None}, set[str]()),
        ({"scope": 3}, set[str]()),
    ],
)
async def test_only_our_scopes_count_letter_for_letter(
    tokens: AccessTokens, issuer: Issuer, claims: dict[str, Any], scopes: set[str]
) -> None:
    assert (await admitted(tokens, issuer.token(**claims))).scopes == scopes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"exp": int(time.time()) - 60}, "has expired"),
        ({"exp": None}, "lacks one of"),
        ({"nbf": int(time.time()) + 3600}, "not valid yet"),
        ({"iat": int(time.time()) + 3600}, "not valid yet"),
        ({"aud": "https://other.example/mcp"}, "another audience"),
        ({"aud": RESOURCE + "/"}, "another audience"),
        ({"aud": None}, "lacks one of"),
        ({"iss": "https://login.example"}, "another issuer"),
        ({"iss": None}, "lacks one of"),
        ({"sub": None}, "lacks one of"),
        ({"sub": ""}, "names no subject"),
        ({"sub": "a\0b"}, "names no subject"),
        ({"sub": "x" * 1025}, "names no subject"),
    ],
)
async def test_a_token_with_wrong_claims_is_told_which(
    tokens: AccessTokens, issuer: Issuer, changes: dict[str, Any], told: str
) -> None:
    assert told in await refused(tokens, issuer.token(**changes))


async def test_a_clock_that_is_a_little_off_is_forgiven(tokens: AccessTokens, issuer: Issuer) -> None:
    now = int(time.time())
    await admitted(tokens, issuer.token(exp=now - 5))
    await admitted(tokens, issuer.token(nbf=now + 10))


async def test_one_of_several_audiences_is_enough(tokens: AccessTokens, issuer: Issuer) -> None:
    await admitted(tokens, issuer.token(aud=["https://other.example", RESOURCE]))


def forged(token: str, header: dict[str, Any], signature: bytes = b"") -> str:
    """`token` with another header and signature."""
    encoded = [
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (json.dumps(header).encode(), signature)
    ]
    return f"{encoded[0]}.{token.split('.')[1]}.{encoded[1]}"


async def test_no_signature_is_no_token(tokens: AccessTokens, issuer: Issuer) -> None:
    for alg in ("none", "None", "NONE", ""):
        token = forged(issuer.token(), {"alg": alg, "kid": "rsa-1", "typ": "JWT"})
        assert "must be signed with one of RS256, PS256, ES256, EdDSA" in await refused(tokens, token)
    assert issuer.asked == 0


async def test_the_public_key_is_no_shared_secret(tokens: AccessTokens, issuer: Issuer) -> None:
    pem = (
        issuer.keys["rsa-1"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    unsigned = forged(issuer.token(), {"alg": "HS256", "kid": "rsa-1", "typ": "JWT"}).rpartition(".")[0]
    tag = hmac.digest(pem, unsigned.encode(), hashlib.sha256)
    token = f"{unsigned}.{base64.urlsafe_b64encode(tag).rstrip(b'=').decode()}"
    assert "must be signed with" in await refused(tokens, token)


async def test_an_algorithm_counts_only_with_a_key_of_its_type(tokens: AccessTokens, issuer: Issuer) -> None:
    token = issuer.token("ed-1")
    for alg in ("RS256", "ES256"):
        wrong = forged(token, {"alg": alg, "kid": "ed-1", "typ": "JWT"}, b"\1" * 64)
        assert "does not publish" in await refused(tokens, wrong)


async def test_another_key_under_a_known_id_does_not_sign(tokens: AccessTokens, issuer: Issuer) -> None:
    token = issuer.token("ec-1", key=ec.generate_private_key(ec.SECP256R1()))
    assert "signature" in await refused(tokens, token)


async def test_a_token_that_was_changed_or_cut_short_does_not_count(tokens: AccessTokens, issuer: Issuer) -> None:
    token = issuer.token()
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "bob"}).encode()).rstrip(b"=").decode()
    wrong = [f"{header}.{other}.{signature}", token[:-40], f"{header}.{payload}.", f"{header}.{payload}"]
    wrong += ["..", "a.b.c", header, "", "x" * 9000, f"{token}.{signature}", token + "=="]
    for each in wrong:
        await refused(tokens, each)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"kid": None}, "does not name its key"),
        ({"kid": ""}, "does not name its key"),
        ({"kid": "x" * 300}, "does not name its key"),
        ({"kid": "stranger"}, "does not publish"),
        ({"typ": "wattproof-receipt+jws"}, "no access token"),
        ({"typ": "dpop+jwt"}, "no access token"),
        ({"typ": 7}, "no access token"),
        ({"crit": ["exp"], "exp": 1}, "critical extensions"),
        ({"crit": ["b64"], "b64": False}, "critical extensions"),
    ],
)
async def test_a_header_that_access_tokens_do_not_have_is_refused(
    tokens: AccessTokens, issuer: Issuer, header: dict[str, Any], told: str
) -> None:
    given = {"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt", **header}
    token = forged(issuer.token(), {name: value for name, value in given.items() if value is not None}, b"\1" * 256)
    description = await refused(tokens, token)
    assert told in description or "cannot be read" in description or "not a JWT" in description


async def test_no_address_in_a_token_is_asked(tokens: AccessTokens, issuer: Issuer) -> None:
    evil = {"jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil", "jwk": {"kty": "oct", "k": "AA"}}
    token = jwt.encode(
        {"iss": issuer.url, "sub": "a", "aud": RESOURCE, "exp": int(time.time()) + 60},
        issuer.keys["rsa-1"],
        "RS256",
        headers={"kid": "rsa-1", **evil},
    )
    await admitted(tokens, token)
    assert issuer.asked == 1


async def test_keys_are_asked_for_once_and_then_kept(tokens: AccessTokens, issuer: Issuer, clock: Clock) -> None:
    for _ in range(3):
        await admitted(tokens, issuer.token())
    clock.now_s += 599
    await admitted(tokens, issuer.token())
    assert issuer.asked == 1
    clock.now_s += 2
    await admitted(tokens, issuer.token())
    assert issuer.asked == 2


async def test_a_new_key_is_found_and_the_old_one_counts_no_more(
    tokens: AccessTokens, issuer: Issuer, clock: Clock, rotate: Callable[[Issuer], None]
) -> None:
    old = issuer.token()
    await admitted(tokens, old)
    rotate(issuer)
    clock.now_s += 31
    await admitted(tokens, issuer.token("rsa-2"))
    assert "does not publish" in await refused(tokens, old)


async def test_unknown_keys_do_not_make_us_ask_at_their_pace(
    tokens: AccessTokens, issuer: Issuer, clock: Clock
) -> None:
    for number in range(20):
        await refused(tokens, issuer.token(f"unknown-{number}", key=issuer.keys["rsa-1"]))
    assert issuer.asked == 1
    clock.now_s += 31
    await refused(tokens, issuer.token("unknown", key=issuer.keys["rsa-1"]))
    assert issuer.asked == 2


@pytest.mark.parametrize("trouble", ["down", "error", "redirect", "huge", "html", "no keys", "not a set", "private"])
async def test_without_keys_a_client_is_told_to_come_again(
    tokens: AccessTokens, keys: KeySet, issuer: Issuer, trouble: str
) -> None:
    token = issuer.token()
    if trouble == "down":
        keys._place = "http://127.0.0.1:1/jwks.json"  # pyright: ignore[reportPrivateUsage]
    elif trouble == "error":
        issuer.status = 500
    elif trouble == "redirect":
        issuer.status, issuer.headers = 302, {"Location": f"{issuer.url}/elsewhere"}
    elif trouble == "huge":
        issuer.body = b" " * (300 * 1024) + issuer.jwks()
    elif trouble == "html":
        issuer.body = b"<html>sign in</html>"
    elif trouble == "no keys":
        issuer.body = b'{"keys": []}'
    elif trouble == "not a set":
        issuer.body = b"[" * 10_000
    else:
        document = json.loads(issuer.jwks())
        issuer.body = json.dumps({"keys": [{**row, "d": "AA"} for row in document["keys"]]}).encode()
    found = await tokens.principal(token)
    assert isinstance(found, Denial)
    assert (found.status, found.error, found.challenged) == (503, None, False)
    assert found.retry_after_s is not None
    assert 1 <= found.retry_after_s <= 30
    assert issuer.url not in found.description
    assert keys.problem
    assert issuer.asked == (0 if trouble == "down" else 1)


async def test_keys_that_are_there_outlive_an_issuer_that_is_down_for_a_day(
    tokens: AccessTokens, issuer: Issuer, clock: Clock
) -> None:
    await admitted(tokens, issuer.token())
    issuer.status = 503
    clock.now_s += 23 * 3600
    await admitted(tokens, issuer.token())
    clock.now_s += 2 * 3600
    found = await tokens.principal(issuer.token())
    assert isinstance(found, Denial)
    assert found.status == 503


async def test_a_slow_issuer_holds_up_one_request_only(tokens: AccessTokens, issuer: Issuer, clock: Clock) -> None:
    await admitted(tokens, issuer.token())
    clock.now_s += 601
    issuer.gate.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(admitted, tokens, issuer.token())
        while issuer.asked < 2:
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await admitted(tokens, issuer.token())
        issuer.gate.set()


@pytest.mark.parametrize("use", ["enc", "weak"])
async def test_a_key_that_is_weak_or_for_something_else_is_left_out(
    tokens: AccessTokens, issuer: Issuer, weak_rsa: Any, public_jwk: Callable[..., dict[str, Any]], use: str
) -> None:
    if use == "weak":
        row, token = public_jwk(weak_rsa, "odd"), issuer.token("odd", key=weak_rsa)
    else:
        row = {**public_jwk(issuer.keys["rsa-1"], "odd"), "use": "enc"}
        token = issuer.token("odd", key=issuer.keys["rsa-1"])
    issuer.body = json.dumps({"keys": [row, *json.loads(issuer.jwks())["keys"], 7, {"kid": "x"}]}).encode()
    assert "does not publish" in await refused(tokens, token)


async def test_keys_may_lie_in_a_file(issuer: Issuer, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    keys = KeySet(path, open_client, Clock())
    tokens = AccessTokens(issuer=issuer.url, audience=RESOURCE, keys=keys, secret=SECRET)
    missing = await tokens.principal(issuer.token())
    assert isinstance(missing, Denial)
    path.write_bytes(issuer.jwks())
    await admitted(
        AccessTokens(issuer=issuer.url, audience=RESOURCE, keys=KeySet(path, open_client), secret=SECRET),
        issuer.token(),
    )
    assert issuer.asked == 0


@asynccontextmanager
async def door(installation: Installation, entrance: Entrance) -> AsyncGenerator[httpx2.AsyncClient]:
    app = build_http_app(
        build_server(installation.open),
        entrance=entrance,
        host="127.0.0.1",
        port=8321,
        allow_keyed_runs=True,
    )
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://watt.example") as http,
    ):
        yield http


@pytest.fixture
async def http(at_fake: Installation, issuer: Issuer, tokens: AccessTokens) -> AsyncGenerator[httpx2.AsyncClient]:
    oauth = OAuthSettings(issuer.url, RESOURCE, RESOURCE, issuer.jwks_url)
    async with door(at_fake, Entrance(access_tokens=tokens, oauth=oauth)) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {**ACCEPT, "Authorization": f"Bearer {token}"}


def called(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


async def test_the_metadata_says_who_issues_tokens_and_needs_none(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    reply = await http.get("/.well-known/oauth-protected-resource/mcp")
    assert reply.status_code == 200
    told = reply.json()
    assert (told["resource"], told["authorization_servers"]) == (RESOURCE, [issuer.url])
    assert told["scopes_supported"] == list(SCOPES)


async def test_without_a_token_the_challenge_names_the_metadata(http: httpx2.AsyncClient) -> None:
    reply = await http.post("/mcp", json=INITIALIZE, headers=ACCEPT)
    assert reply.status_code == 401
    challenge = reply.headers["www-authenticate"]
    assert f'resource_metadata="{METADATA}"' in challenge
    assert 'scope="estimate"' in challenge
    assert "error=" not in challenge


async def test_a_wrong_token_is_told_why_in_the_challenge(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    reply = await http.post("/mcp", json=INITIALIZE, headers=bearer(issuer.token(exp=1)))
    assert reply.status_code == 401
    challenge = reply.headers["www-authenticate"]
    assert 'error="invalid_token", error_description="The token has expired"' in challenge
    assert f'resource_metadata="{METADATA}"' in challenge


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_may_be_written_in_any_case(http: httpx2.AsyncClient, issuer: Issuer, scheme: str) -> None:
    headers = {**ACCEPT, "Authorization": f"{scheme}   {issuer.token()}  "}
    assert (await http.post("/mcp", json=INITIALIZE, headers=headers)).status_code == 200


async def test_two_credentials_are_none(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    both = [("Authorization", f"Bearer {issuer.token()}"), ("Authorization", f"Bearer {issuer.token(sub='bob')}")]
    reply = await http.post("/mcp", json=INITIALIZE, headers=[*ACCEPT.items(), *both])
    assert reply.status_code == 400
    assert 'error="invalid_request"' in reply.headers["www-authenticate"]


@pytest.mark.parametrize("value", ["Bearer", "Bearer  ", "Basic YTpi", "Bearer a b", "Bearer a,b", "x"])
async def test_what_is_no_bearer_token_is_refused(http: httpx2.AsyncClient, value: str) -> None:
    reply = await http.post("/mcp", json=INITIALIZE, headers={**ACCEPT, "Authorization": value})
    assert reply.status_code == 401


async def test_a_token_in_the_address_or_the_body_does_not_count(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    token = issuer.token()
    reply = await http.post(f"/mcp?access_token={token}", json={**INITIALIZE, "access_token": token}, headers=ACCEPT)
    assert reply.status_code == 401


async def test_every_path_but_the_open_ones_asks_for_a_token(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz")).status_code == 200
    for path in ("/", "/mcp/", "/metrics", "/mcp/../mcp", "/.well-known/other", "/docs"):
        assert (await http.get(path, headers=ACCEPT)).status_code == 401, path


async def test_while_keys_cannot_be_had_no_token_is_thrown_away(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    issuer.status = 500
    reply = await http.post("/mcp", json=INITIALIZE, headers=bearer(issuer.token()))
    assert reply.status_code == 503
    assert 1 <= int(reply.headers["retry-after"]) <= 30
    assert "www-authenticate" not in reply.headers


@pytest.mark.parametrize(
    ("held", "tool", "arguments", "wanted"),
    [
        ("estimate", "run_inference", {}, "estimate infer"),
        ("estimate audit", "track_operation", {}, "estimate infer audit"),
        ("infer", "summarize_ledger", {}, "infer audit"),
        ("", "estimate_request", ESTIMATE, "estimate"),
        ("estimate", "explain", {"subject": "r_" + "a" * 26}, "estimate audit"),
        ("estimate", "explain", {"subject": {"jws": "a.b.c"}}, "estimate audit"),
        ("estimate", "explain", {"subject": '{"\\u006aws": "a.b.c"}'}, "estimate audit"),
    ],
)
async def test_a_client_learns_which_scopes_to_ask_for(
    http: httpx2.AsyncClient, issuer: Issuer, held: str, tool: str, arguments: dict[str, Any], wanted: str
) -> None:
    reply = await http.post("/mcp", json=called(tool, arguments), headers=bearer(issuer.token(scope=held)))
    assert reply.status_code == 403
    challenge = reply.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="{wanted}"' in challenge
    assert f'resource_metadata="{METADATA}"' in challenge


async def test_lists_and_what_a_scope_allows_are_served(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    headers = bearer(issuer.token(scope="estimate"))
    listed: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    everything = bearer(issuer.token())
    replies = [await http.post("/mcp", json=listed, headers=each) for each in (headers, everything)]
    assert replies[0].text == replies[1].text
    for arguments in (ESTIMATE, {**ESTIMATE, "output_tokens": 100}):
        assert (
            "energy_wh" in (await http.post("/mcp", json=called("estimate_request", arguments), headers=headers)).text
        )
    explained = await http.post("/mcp", json=called("explain", {"subject": "wattproof/param"}), headers=headers)
    assert explained.status_code == 200


async def test_a_broken_body_is_for_the_application_to_refuse(http: httpx2.AsyncClient, issuer: Issuer) -> None:
    headers = {**bearer(issuer.token(scope="estimate")), "Content-Type": "application/json"}
    for body in (b"", b"{", b"[]", b"7", b'{"method": 7}', b'{"method": "tools/call", "params": []}', b"\xff"):
        assert (await http.post("/mcp", content=body, headers=headers)).status_code == 400
    large = json.dumps(called("run_inference", {"x": "y" * 5_000_000})).encode()
    assert (await http.post("/mcp", content=large, headers=headers)).status_code == 413


def test_oauth_is_configured_by_four_settings(issuer: Issuer, tmp_path: Path) -> None:
    environ = {
        "WATTPROOF_HOME": str(tmp_path),
        "WATTPROOF_OAUTH_ISSUER": issuer.url,
        "WATTPROOF_OAUTH_RESOURCE": RESOURCE,
        "WATTPROOF_OAUTH_JWKS": issuer.jwks_url,
    }
    entrance = entrance_of(load_settings(environ), token="unused")
    assert entrance.ways == ("oauth",)
    assert entrance.oauth == OAuthSettings(issuer.url, RESOURCE, RESOURCE, issuer.jwks_url)
    assert entrance.state_key is not None
    audience = {**environ, "WATTPROOF_OAUTH_AUDIENCE": "api://watt"}
    assert oauth_settings(load_settings(audience)).audience == "api://watt"
    both = {**environ, "WATTPROOF_HTTP_AUTH": "oauth, keys, token"}
    assert entrance_of(load_settings(both), token="t").ways == ("token", "keys", "oauth")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"WATTPROOF_OAUTH_RESOURCE": ""}, "WATTPROOF_OAUTH_RESOURCE is not set"),
        ({"WATTPROOF_OAUTH_JWKS": ""}, "WATTPROOF_OAUTH_JWKS is not set"),
        ({"WATTPROOF_OAUTH_JWKS": "jwks.json"}, "WATTPROOF_OAUTH_JWKS is the relative path"),
        ({"WATTPROOF_OAUTH_JWKS": "http://login.example/jwks"}, "is http to another machine"),
        ({"WATTPROOF_OAUTH_JWKS": "ftp://login.example/jwks"}, "is no https address"),
        ({"WATTPROOF_OAUTH_JWKS": "https://me:secret@login.example/"}, "holds a name or a password"),
        ({"WATTPROOF_OAUTH_JWKS": "https://login.example:port/"}, "is no address"),
        ({"WATTPROOF_OAUTH_JWKS": "https://"}, "is no https address"),
        ({"WATTPROOF_OAUTH_JWKS": "https://login.example/jwks", "WATTPROOF_OFFLINE": "1"}, "is on another machine"),
        ({"WATTPROOF_OAUTH_ISSUER": "http://login.example"}, "is http to another machine"),
        ({"WATTPROOF_OAUTH_ISSUER": 'https://a"b'}, "is no address"),
        ({"WATTPROOF_OAUTH_RESOURCE": "https://watt.example/mcp#x"}, "is no https address"),
        ({"WATTPROOF_OAUTH_AUDIENCE": "x" * 501}, "WATTPROOF_OAUTH_AUDIENCE is too long"),
        ({"WATTPROOF_HTTP_AUTH": "oauth,password"}, "WATTPROOF_HTTP_AUTH names 'password'"),
        ({"WATTPROOF_INSTANCE_SECRET": "short"}, "WATTPROOF_INSTANCE_SECRET has fewer than 32"),
        ({"WATTPROOF_LEDGER": "postgresql://watt@db/ledger"}, "WATTPROOF_INSTANCE_SECRET is not set"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(tmp_path: Path, changes: dict[str, str], named: str) -> None:
    environ = {
        "WATTPROOF_HOME": str(tmp_path),
        "WATTPROOF_OAUTH_ISSUER": "https://login.example",
        "WATTPROOF_OAUTH_RESOURCE": RESOURCE,
        "WATTPROOF_OAUTH_JWKS": "https://login.example/jwks",
        **changes,
    }
    with pytest.raises(InvalidInput) as caught:
        entrance_of(load_settings(environ), token="t")
    assert named in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_oauth_without_an_issuer_and_no_auth_with_one_are_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, environ={"WATTPROOF_HTTP_AUTH": "oauth"})
    with pytest.raises(InvalidInput, match="no issuer is set"):
        ways_in(settings)
    for name in ("WATTPROOF_HTTP_AUTH", "WATTPROOF_OAUTH_ISSUER"):
        with pytest.raises(InvalidInput, match=f"--no-auth was given, but {name} is set"):
            entrance_of(Settings(home=tmp_path, environ={name: "token"}), token=None)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, environ={"WATTPROOF_HTTP_AUTH": "keys"})
    first, again = (entrance_of(settings, token="t").state_key for _ in range(2))
    assert first == again
    path = tmp_path / "keys" / "instance.secret"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyUnusable, match="can be read by others"):
        entrance_of(settings, token="t")
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(KeyUnusable, match="no secret of 32"):
        entrance_of(settings, token="t")


@pytest.fixture
def weak_rsa() -> Any:
    return _fakes().WEAK_RSA


@pytest.fixture
def rotate() -> Callable[[Issuer], None]:
    return _fakes().rotate


@pytest.fixture
def public_jwk() -> Callable[..., dict[str, Any]]:
    return _fakes().public_jwk


def _fakes() -> Any:
    return sys.modules["tests.fakes.issuer"]
