// An echo: `node websocket-echo-program.js PORT`.
import { WebSocketServer } from 'ws';
import { loopback } from '../loopback.js';

const server = new WebSocketServer({ host: loopback, port: Number(process.argv[2]) });
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => socket.terminate());
});
