import { createServer, connect } from 'node:net';

/** A TCP proxy in front of a gateway that can be exchanged, and whose connections can be cut with neither end saying goodbye. */
export async function startProxy(targetPort) {
  const open = new Set();
  const server = createServer((client) => {
    const target = connect(proxy.target, '127.0.0.1');
    open.add(client).add(target);
    for (const [from, to] of [[client, target], [target, client]]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroy();
        open.delete(from);
      });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy = {
    /** The port that new connections go to. */
    target: targetPort,
    url: `http://127.0.0.1:${server.address().port}`,
    cut() {
      for (const socket of open) socket.resetAndDestroy();
    },
  };
  return proxy;
}
