// Rooms, and publishes that are acknowledged, on Socket.IO as its page on performance tuning has it: WebSocket alone, no compression,
// the native masking of `bufferutil`, and no HTTP request kept for each connection. One process: Node.js runs it on one core, and a
// second process would need an adapter and a Redis between them, which is another scenario.
'use strict'

const { createServer } = require('node:http')
const { Server } = require('socket.io')

const http = createServer()
const server = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  // Pings are part of what an idle connection costs, but none should fall into a measurement of seconds.
  pingInterval: 600_000,
  pingTimeout: 600_000,
})

server.engine.on('connection', (connection) => {
  connection.request = null
})

server.on('connection', (socket) => {
  socket.on('subscribe', (channel, done) => {
    socket.join(channel)
    done()
  })
  socket.on('publish', (channel, event, done) => {
    server.to(channel).emit('event', event)
    done()
  })
})

http.listen(Number(process.argv[2]), '127.0.0.1')
