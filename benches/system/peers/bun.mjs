// The agent's exchange and its push on Bun, with Bun's own way to tell many sockets.
import { hello, lines, path, ready, serving, told } from './exchange.mjs';

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch(request, server) {
    const headers = { 'Sec-WebSocket-Protocol': 'loopkey.1' };
    return server.upgrade(request, { headers }) ? undefined : new Response('', { status: 403 });
  },
  websocket: {
    perMessageDeflate: false,
    open(socket) {
      socket.send(hello());
    },
    message(socket, open) {
      const answer = ready(open);
      if (!answer) return socket.close(4401);
      socket.subscribe('state');
      socket.send(answer);
    },
  },
});
Bun.listen({
  unix: path,
  socket: {
    data: (client, bytes) => {
      for (const line of lines(bytes)) {
        const { text, answer } = told(line);
        server.publish('state', text);
        client.write(answer);
      }
    },
  },
});
serving(server.port);
