// What every peer in JavaScript does with a page: hello, one signature verified, one made, ready; and with the client's word. The
// agent's own lengths.
import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

const { key, lengths, control } = JSON.parse(process.argv[2]);
const point = Buffer.from(key);
const challengeKey = createPublicKey({
  key: { kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url') },
  format: 'jwk',
});
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const dsaEncoding = 'ieee-p1363';
const signed = Buffer.alloc(520, 'p');

export const hello = () => `{"type":"hello","v":1,"nonce":"${randomBytes(32).toString('base64url')}"}`;

// The text of ready; nothing where the challenge is not of the challenge key.
export const ready = (open) => {
  const { challenge } = JSON.parse(open);
  const at = challenge.lastIndexOf('.');
  const signature = Buffer.from(challenge.slice(at + 1), 'base64url');
  if (!verify('sha256', Buffer.from(challenge.slice(0, at)), { key: challengeKey, dsaEncoding }, signature)) return undefined;
  const proof = sign('sha256', signed, { key: privateKey, dsaEncoding }).toString('base64url');
  const bare = `{"type":"ready","seq":1,"proof":"${proof}","resume":""}`;
  return `${bare.slice(0, -2)}${'r'.repeat(Math.max(0, lengths.ready - bare.length))}"}`;
};

let seq = 0;
// What the client says of the person, a JSON-RPC call a line: the state that pages are sent, and the answer.
export const told = (line) => {
  const { id, params } = JSON.parse(line);
  seq += 1;
  const state = { presence: params.presence, since: Date.now(), epoch: 1 };
  const text = JSON.stringify({ type: 'state', seq, state }).padEnd(lengths.state);
  return { text, answer: `${JSON.stringify({ jsonrpc: '2.0', id, result: { seq } })}\n` };
};
export const lines = (bytes) => bytes.toString().trimEnd().split('\n');

export const path = control;
export const serving = (port) => console.log(JSON.stringify({ port, trigger: { Control: control } }));
