/**
 * A certified OpenID Connect provider with its own login and consent pages, for one test.
 * node provider.mjs FOLDER-OF-NODE-MODULES REDIRECT-URI POST-LOGOUT-URI BACKCHANNEL-URI
 *
 * The test orders: GET /test/disable/PERSON, who may not any more; GET /test/rotate, all keys are new.
 */

import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { pathToFileURL } from "node:url";

const [modules, redirect, back, notice] = process.argv.slice(2);
// Its first line on standard output is read, and nothing after.
const say = console.log;
for (const name of ["log", "info", "warn"]) console[name] = () => {};
const { default: Provider } = await import(pathToFileURL(`${modules}/node_modules/oidc-provider/lib/index.js`).href);

const key = (type, options, members) =>
  ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), use: "sig", ...members });
const client = (client_id, id_token_signed_response_alg) => ({
  client_id, client_secret: "the client's secret", id_token_signed_response_alg,
  redirect_uris: [redirect.replace("NAME", client_id)], post_logout_redirect_uris: [back], grant_types: ["authorization_code", "refresh_token"],
  backchannel_logout_uri: notice.replace("NAME", client_id), backchannel_logout_session_required: true,
});

/** People who may not any more. */
const disabled = new Set();
let generation = 0;
let serve;

/** A provider of the same name, with keys of its own. */
function start(issuer) {
  generation += 1;
  const provider = new Provider(issuer, {
    clients: [client("rsa", "RS256"), client("ec", "ES256"), client("ed", "EdDSA")],
    jwks: { keys: [
      key("rsa", { modulusLength: 2048 }, { kid: `r${generation}`, alg: "RS256" }),
      key("ec", { namedCurve: "P-256" }, { kid: `e${generation}`, alg: "ES256" }),
      key("ed25519", {}, { kid: `d${generation}`, alg: "EdDSA" }),
    ] },
    enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "EdDSA"] },
    cookies: { keys: ["a key of a test"] },
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => (disabled.has(id) ? undefined : {
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the provider`, email: `${id}@example.com`, email_verified: true }),
    }),
    // Its own guard lets it call no loopback address.
    fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  });
  provider.on("server_error", (_, error) => console.error(error));
  provider.on("backchannel.error", (_, error) => console.error("backchannel", error));
  serve = provider.callback();
}

const server = createServer((request, response) => {
  const [, , order, person] = request.url.startsWith("/test/") ? request.url.split("/") : [];
  if (!order) return serve(request, response);
  if (order === "disable") disabled.add(person);
  if (order === "rotate") start(issuer);
  response.writeHead(204).end();
});
let issuer;
server.listen(0, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  start(issuer);
  say(issuer);
});
