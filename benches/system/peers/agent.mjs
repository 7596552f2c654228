// A loopback agent on Node's `ws`, as somebody would write it in an afternoon: two addresses, a TLS port, a device key in a file,
// Origin and Host compared whole, one signature verified and one made for each page, one heartbeat for all of them.
import { createPrivateKey, createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { WebSocketServer } from 'ws';

const { key, device, identity, port, secure, origins } = JSON.parse(process.argv[2]);
const point = Buffer.from(key);
const challengeKey = createPublicKey({
  key: { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') },
  format: 'jwk',
});
const deviceKey = createPrivateKey(readFileSync(device));
const pem = readFileSync(identity);
const allowed = new Set(origins);
const hosts = new Set(['127.0.0.1', '[::1]', 'localhost'].flatMap((host) => [`${host}:${port}`, `${host}:${secure}`]));

const ready = (open) => {
  const { nonce, challenge } = JSON.parse(open);
  const at = challenge.lastIndexOf('.');
  const signature = Buffer.from(challenge.slice(at + 1), 'base64url');
  const verifying = { key: challengeKey, dsaEncoding: 'ieee-p1363' };
  if (!verify('sha256', Buffer.from(challenge.slice(0, at)), verifying, signature)) return undefined;
  const proof = sign(null, Buffer.from(`${nonce}.${challenge}`), deviceKey).toString('base64url');
  return JSON.stringify({ type: 'ready', seq: 1, state: { presence: 'signed_in' }, proof });
};

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 8192, handleProtocols: () => 'loopkey.1' });
let heart;
sockets.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.send(JSON.stringify({ type: 'hello', v: 1, nonce: randomBytes(32).toString('base64url') }));
  socket.once('message', (open) => {
    const answer = ready(open);
    if (answer) socket.send(answer);
    else socket.close(4401);
  });
  heart ??= setInterval(() => {
    for (const each of sockets.clients) each.send('{"type":"ping"}');
  }, 30_000);
  socket.on('close', () => {
    if (sockets.clients.size === 0) heart = clearInterval(heart);
  });
});

const upgrade = (request, stream, head) => {
  stream.on('error', () => {});
  if (!allowed.has(request.headers.origin) || !hosts.has(request.headers.host)) {
    stream.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
    return;
  }
  sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit('connection', socket, request));
};
const refuse = (_, response) => response.writeHead(404).end();
for (const host of ['127.0.0.1', '::1']) {
  createServer(refuse).on('upgrade', upgrade).listen({ port, host });
  createSecureServer({ key: pem, cert: pem }, refuse).on('upgrade', upgrade).listen({ port: secure, host });
}
