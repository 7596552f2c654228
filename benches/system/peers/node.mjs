// The agent's exchange and its push on Node's `ws`.
import { createServer } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { WebSocketServer } from 'ws';
import { hello, lines, path, ready, serving, told } from './exchange.mjs';

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

const clients = createTcpServer((client) => {
  client.on('error', () => {});
  client.on('data', (bytes) => {
    for (const line of lines(bytes)) {
      const { text, answer } = told(line);
      // Encoded once for all of them.
      const bytes = Buffer.from(text);
      for (const socket of sockets.clients) socket.send(bytes, { binary: false });
      client.write(answer);
    }
  });
});

http.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, () => {
  clients.listen(path, () => serving(http.address().port));
});
