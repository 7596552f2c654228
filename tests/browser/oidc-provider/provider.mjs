/**
 * A certified OpenID Connect provider with its own login and consent pages, for one test.
 * node provider.mjs FOLDER-OF-NODE-MODULES REDIRECT-URI POST-LOGOUT-URI BACKCHANNEL-URI
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
  redirect_uris: [redirect.replace("NAME", client_id)], post_logout_redirect_uris: [back], grant_types: ["authorization_code"],
  backchannel_logout_uri: notice.replace("NAME", client_id), backchannel_logout_session_required: true,
});

const server = createServer().listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [client("rsa", "RS256"), client("ec", "ES256"), client("ed", "EdDSA")],
    jwks: { keys: [
      key("rsa", { modulusLength: 2048 }, { kid: "r", alg: "RS256" }),
      key("ec", { namedCurve: "P-256" }, { kid: "e", alg: "ES256" }),
      key("ed25519", {}, { kid: "d", alg: "EdDSA" }),
    ] },
    enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "EdDSA"] },
    cookies: { keys: ["a key of a test"] },
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["name"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the provider`, email: `${id}@example.com`, email_verified: true }),
    }),
    // Its own guard lets it call no loopback address.
    fetch: (url, { dispatcher: _, ...options }) => fetch(url, options),
  });
  provider.on("server_error", (_, error) => console.error(error));
  provider.on("backchannel.error", (_, error) => console.error("backchannel", error));
  server.on("request", provider.callback());
  say(issuer);
});
