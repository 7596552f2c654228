"""A web application's backend that signs people in with Loopkey and keeps sessions of its own.

The page posts what its agent signed to /sign-in. This program has the login server redeem it and verifies the access
token that comes back with PyJWT. Everything else here is the smallest web application that can show it.
"""

import base64
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ISSUER = os.environ["LOOPKEY_ISSUER"]  # as browsers know it: https://app.example.com/loopkey
LOOPKEY = os.environ.get("LOOPKEY_URL", ISSUER)  # as this program reaches it
AUDIENCE = os.environ["LOOPKEY_AUDIENCE"]  # the issuer's origin, or token_audience of server.toml
with open(os.environ["LOOPKEY_TOKEN_KEY_FILE"], encoding="utf-8") as file:
    TOKEN_KEY = file.read().strip()  # token_key_file of server.toml

# Asks for the keys when it meets one that it does not know.
KEYS = jwt.PyJWKClient(LOOPKEY + "/.well-known/jwks.json")
sessions = {}


class Refused(Exception):
    """`args[0]` is what the page is answered: start over with a new challenge, or not at all."""


def redeem(posted, origin, pre_login):
    """Exchanges the login token for an access token, once."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": posted["token"],
        "challenge": posted["challenge"],
        "subject": posted["subject"],
        "origin": origin,
        "pre_login": pre_login,
    }
    credentials = base64.b64encode(f"backend-python:{urllib.parse.quote(TOKEN_KEY)}".encode()).decode()
    request = urllib.request.Request(
        LOOPKEY + "/v1/token",
        data=urllib.parse.urlencode(form).encode(),
        headers={"Authorization": "Basic " + credentials},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["access_token"]
    except urllib.error.HTTPError as error:
        description = json.load(error).get("error_description", "")
        if error.code == 429 or error.code >= 500:
            raise Refused("unavailable") from error
        raise Refused("stale_challenge" if description.startswith("stale_challenge") else "invalid_token") from error
    except OSError as error:
        # Whether the token was redeemed is unknown: it is never sent again.
        raise Refused("unavailable") from error


def verify(access_token):
    """The claims of an access token, or an exception of PyJWT."""
    key = KEYS.get_signing_key_from_jwt(access_token)
    if jwt.get_unverified_header(access_token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    return jwt.decode(
        access_token,
        key,
        algorithms=["ES256"],
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"require": ["iss", "sub", "aud", "exp", "iat", "account"]},
    )


class Backend(BaseHTTPRequestHandler):
    def do_POST(self):
        if self.path != "/sign-in":
            return self.answer(404, {"error": "not_found"})
        origin, pre_login = self.headers.get("Origin"), self.cookie("__Host-loopkey_pre")
        try:
            posted = json.loads(self.rfile.read(min(int(self.headers["Content-Length"]), 8192)))
            claims = verify(redeem(posted, origin or "", pre_login or ""))
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "bad_request"})
        except (Refused, jwt.PyJWTError) as refused:
            code = refused.args[0] if isinstance(refused, Refused) else "invalid_token"
            return self.answer(503 if code == "unavailable" else 401, {"error": code})
        session = secrets.token_urlsafe(32)
        sessions[session] = claims["account"]
        self.answer(200, {"account": claims["account"]}, [
            f"__Host-session={session}; HttpOnly; Secure; SameSite=Lax; Path=/",
            "__Host-loopkey_pre=; Secure; Path=/; Max-Age=0",
        ])

    def do_GET(self):
        account = sessions.get(self.cookie("__Host-session"))
        self.answer(200, {"account": account}) if account else self.answer(401, {"error": "no_session"})

    def cookie(self, name):
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(name)
        return morsel.value if morsel else None

    def answer(self, status, body, cookies=()):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        for cookie in cookies:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing of a request belongs in a log here."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Backend)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
