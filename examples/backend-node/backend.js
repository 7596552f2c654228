/**
 * A web application's backend that signs people in with Loopkey and keeps sessions of its own.
 *
 * The page posts what its agent signed to /sign-in. This program has the login server redeem it and
 * verifies the access token that comes back with jose. Everything else here is the smallest web
 * application that can show it.
 */

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";

const issuer = process.env.LOOPKEY_ISSUER; // as browsers know it: https://app.example.com/loopkey
const loopkey = process.env.LOOPKEY_URL ?? issuer; // as this program reaches it
const audience = process.env.LOOPKEY_AUDIENCE; // the issuer's origin, or token_audience of server.toml
const tokenKey = readFileSync(process.env.LOOPKEY_TOKEN_KEY_FILE, "utf8").trim(); // token_key_file of server.toml

/** Asks for the keys when it meets one that it does not know. */
const keys = createRemoteJWKSet(new URL(`${loopkey}/.well-known/jwks.json`));
const sessions = new Map();

/** `code` is what the page is answered: start over with a new challenge, or not at all. */
class Refused extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** Exchanges the login token for an access token, once. */
async function redeem({ token, challenge, subject }, origin, preLogin) {
  const credentials = Buffer.from(`backend-node:${encodeURIComponent(tokenKey)}`).toString("base64");
  // Where the answer does not come, it is unknown whether the token was redeemed: it is never sent again.
  const answer = await fetch(`${loopkey}/v1/token`, {
    method: "POST",
    headers: { authorization: `Basic ${credentials}` },
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: token, challenge, subject, origin, pre_login: preLogin,
    }),
    redirect: "error",
    signal: AbortSignal.timeout(10_000),
  }).catch(() => ({ status: 503 }));
  if (answer.status === 429 || answer.status >= 500) throw new Refused("unavailable");
  const body = await answer.json();
  if (answer.ok) return body.access_token;
  throw new Refused(body.error_description?.startsWith("stale_challenge") ? "stale_challenge" : "invalid_token");
}

/** The claims of an access token. */
async function verify(accessToken) {
  const { payload } = await jwtVerify(accessToken, keys, {
    issuer, audience, typ: "at+jwt", algorithms: ["ES256"], requiredClaims: ["sub", "iat", "exp", "account"],
  });
  return payload;
}

async function signIn(request, answer) {
  let posted;
  try {
    posted = JSON.parse(await read(request));
  } catch {
    return answer(400, { error: "bad_request" });
  }
  try {
    const { origin = "" } = request.headers;
    const { account } = await verify(await redeem(posted, origin, cookie(request, "__Host-loopkey_pre") ?? ""));
    const session = randomBytes(32).toString("base64url");
    sessions.set(session, account);
    answer(200, { account }, [
      `__Host-session=${session}; HttpOnly; Secure; SameSite=Lax; Path=/`,
      "__Host-loopkey_pre=; Secure; Path=/; Max-Age=0",
    ]);
  } catch (error) {
    const code = error instanceof Refused ? error.code : "invalid_token";
    answer(code === "unavailable" ? 503 : 401, { error: code });
  }
}

async function read(request) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request) {
    if ((length += chunk.length) > 8192) throw new Error("too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function cookie(request, name) {
  const pairs = (request.headers.cookie ?? "").split("; ").map((pair) => pair.split(/=(.*)/s));
  return pairs.find(([key]) => key === name)?.[1];
}

const server = createServer((request, response) => {
  const answer = (status, body, cookies = []) => {
    const content = Buffer.from(JSON.stringify(body));
    const headers = { "content-type": "application/json", "content-length": content.length, "cache-control": "no-store" };
    response.writeHead(status, { ...headers, "set-cookie": cookies }).end(content);
  };
  if (request.method === "POST" && request.url === "/sign-in") return void signIn(request, answer);
  const account = sessions.get(cookie(request, "__Host-session"));
  return account ? answer(200, { account }) : answer(401, { error: "no_session" });
});

server.listen(Number(process.env.PORT ?? 8080), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
