// The agent's exchange and its push on Node's `ws`.
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { WebSocketServer } from 'ws';
import { hello, ready, serving, state } from './exchange.mjs';

const http = createServer();
const sockets = new WebSocketServer({ server: http, perMessageDeflate: false, handleProtocols: () => 'loopkey.1' });
sockets.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.send(hello());
  socket.once('message', (open) => {
    const answer = ready(open);
    if (answer) socket.send(answer);
    else socket.close(4401);
  });
});

const push = () => {
  for (const socket of sockets.clients) socket.send(state);
};
const publishers = createTcpServer((publisher) => {
  publisher.on('error', () => {});
  publisher.on('data', push);
});

http.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  publishers.listen(0, '127.0.0.1', () => serving(http.address().port, publishers.address().port));
});
