// deploy/local-cluster.sh as its reader uses it: started, tried out with what it prints, stopped by Ctrl+C.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Helper, findFreePorts, isFree, isInstalled } from './processes.mjs';
import { Connection } from './protocol.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = join(root, 'deploy/local-cluster.sh');
const broker = join(root, 'Broker/bin/Release/net10.0/Fanfare.Broker.dll');
const withoutRedis = isInstalled('redis-server') || isInstalled('valkey-server') ? undefined : 'neither Redis nor Valkey is installed';
const withoutBroker = withoutRedis ?? (existsSync(broker) ? undefined : 'the Broker is not built');

/** A cluster that the script has said is ready, in a process group of its own, as a terminal starts it. */
class LocalCluster {
  static async start(t, ...args) {
    const cluster = new LocalCluster();
    const port = await findFreePorts(9);
    cluster.ports = Array.from({ length: 9 }, (_, index) => port + index);
    const ports = { port, 'redis-port': port + 2, 'silo-port': port + 3, 'orleans-gateway-port': port + 5, 'silo-http-port': port + 7 };
    const options = Object.entries(ports).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    cluster.process = new Helper(script, ['--no-build', ...options, ...args], { detached: true });
    t.after(() => cluster.#remove());
    await cluster.process.printed('The cluster is ready.', 120_000);
    cluster.lines = cluster.process.lines.entries;
    cluster.pids = Object.fromEntries(cluster.lines.flatMap((line) => {
      const found = /^ {2}(\S+) +\S+ +pid (\d+)$/.exec(line);
      return found ? [[found[1], Number(found[2])]] : [];
    }));
    cluster.key = /API key +(\S+)/.exec(cluster.lines.find((line) => line.includes('API key')))[1];
    return cluster;
  }

  url(number) {
    return `http://localhost:${this.ports[0] + number - 1}`;
  }

  /** What is there to paste. */
  command(name) {
    return this.lines.find((line) => line.startsWith(`  ${name} `));
  }

  /** A connection to a gateway that is subscribed to all of the namespace. */
  async subscribe(number) {
    const authorization = { host: new URL(this.url(number)).host, 'x-api-key': this.key };
    const connection = await Connection.connect(this.url(number), authorization);
    connection.send({ type: 'subscribe', id: 'all', channel: '/default/*', authorization });
    await connection.frames.until('the subscription', ({ type }) => type === 'subscribe_success');
    return connection;
  }

  publish() {
    const { status, stdout, stderr } = spawnSync('sh', ['-c', `${this.command('curl')} -s --max-time 30`], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  }

  /** Ctrl+C: the terminal signals the whole group. Returns how the script ended. */
  interrupt() {
    process.kill(-this.process.pid, 'SIGINT');
    return this.process.ended(60_000);
  }

  async assertGone() {
    for (const [name, pid] of Object.entries(this.pids)) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, `${name} is gone`);
    for (const port of this.ports) assert.ok(await isFree(port), `port ${port} is free`);
    const logs = this.lines.find((line) => line.startsWith('  Logs')).split(/\s+/)[2];
    assert.ok(!existsSync(logs), `${logs} is gone`);
    this.pids = {};
  }

  async #remove() {
    for (const pid of Object.values(this.pids ?? {})) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
    await this.process.stop();
  }
}

const modes = [
  { backplane: 'redis', nodes: ['redis', 'gateway-1', 'gateway-2'], skip: withoutRedis },
  { backplane: 'orleans', nodes: ['redis', 'silo-1', 'silo-2', 'gateway-1', 'gateway-2'], skip: withoutBroker },
];

for (const { backplane, nodes, skip } of modes) {
  test(`A local cluster (${backplane}) carries events between its gateways, and Ctrl+C ends all of it`, { skip, timeout: 240_000 }, async (t) => {
    const cluster = await LocalCluster.start(t, '--backplane', backplane);
    assert.deepEqual(Object.keys(cluster.pids), nodes);
    assert.ok(cluster.command('npx wscat').includes(`localhost:${cluster.ports[0]}/`), 'receiving is at the first gateway');
    assert.ok(cluster.command('curl').includes(`localhost:${cluster.ports[1]}/`), 'publishing at the second');

    const subscriber = await cluster.subscribe(1);
    assert.equal(cluster.publish().failed.length, 0);
    const { event } = await subscriber.frames.until('the event', ({ type }) => type === 'data');
    assert.deepEqual(JSON.parse([event].flat()[0]), { text: 'Hello' });

    if (backplane === 'orleans') {
      process.kill(cluster.pids['silo-1'], 'SIGKILL');
      await cluster.process.printed('silo-1 ended (exit code 137)');
      const from = subscriber.frames.entries.length;
      assert.equal(cluster.publish().failed.length, 0);
      await subscriber.frames.until('an event after the death of a silo', ({ type }) => type === 'data', { from, deadline: 30_000 });
    }

    assert.equal(await cluster.interrupt(), 0);
    await cluster.assertGone();
  });
}

test('A local cluster reports a node that dies, and kills one that does not end', { skip: withoutRedis, timeout: 180_000 }, async (t) => {
  const key = 'da2-localclusterlocalclusterl1';
  const cluster = await LocalCluster.start(t, '--backplane', 'redis', '--', '--api-key', key);
  assert.equal(cluster.key, key, 'what follows -- is for the gateways');
  process.kill(cluster.pids['gateway-2'], 'SIGKILL');
  await cluster.process.printed('gateway-2 ended (exit code 137)');
  assert.equal((await fetch(`${cluster.url(1)}/health`)).status, 200);

  process.kill(cluster.pids['gateway-1'], 'SIGSTOP');
  assert.equal(await cluster.interrupt(), 1);
  assert.ok(cluster.lines.includes('gateway-1 did not end in time and was killed.'));
  await cluster.assertGone();
});

/** Runs the script to its end. */
function run(args, options) {
  const { status, stdout, stderr } = spawnSync('bash', [script, ...args], { encoding: 'utf8', timeout: 60_000, ...options });
  return { status, output: stdout + stderr };
}

test('A gateway that cannot start ends a local cluster, and says why', { skip: withoutRedis, timeout: 90_000 }, async () => {
  const port = await findFreePorts(3);
  const { status, output } = run([
    '--backplane', 'redis', '--no-build', '--port', `${port}`, '--redis-port', `${port + 2}`, '--', '--Fanfare:Nonsense=1',
  ]);
  assert.equal(status, 1, output);
  assert.match(output, /There is no setting 'Fanfare:Nonsense'/);
  assert.match(output, /gateway-1 ended before it was ready\./);
  assert.ok(await isFree(port + 2), 'Redis has ended');
});

test('A local cluster starts nothing where a port is taken', { skip: withoutRedis, timeout: 60_000 }, async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  const child = new Helper(script, ['--backplane', 'redis', '--no-build', '--gateways', '1', '--port', `${port}`]);
  assert.equal(await child.ended(), 1);
  assert.deepEqual(child.lines.entries, [`local-cluster: Port ${port} is in use. Choose another with --port.`]);
});

test('A local cluster says what it lacks and what was mistyped', { timeout: 60_000 }, (t) => {
  const empty = mkdtempSync(join(tmpdir(), 'fanfare-path-'));
  t.after(() => rmSync(empty, { recursive: true }));
  for (const tool of ['bash', 'dirname']) symlinkSync(spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim(), join(empty, tool));
  const { status, output } = run([], { env: { PATH: empty } });
  assert.equal(status, 1);
  assert.match(output, /apt-get install redis-server/);

  for (const [args, message] of [
    [['--gateway', '3'], "Unknown option '--gateway'."],
    [['--port'], "The option '--port' lacks its value."],
    [['--port', 'http'], "The option '--port' takes a number, not 'http'."],
    [['--backplane', 'kafka'], "There is no backplane 'kafka': orleans or redis."],
  ]) {
    assert.deepEqual(run(args), { status: 2, output: `local-cluster: ${message} See --help.\n` });
  }
  const help = run(['--help']);
  assert.equal(help.status, 0);
  // Each option of the help is one that the script takes.
  for (const [, option] of help.output.matchAll(/^ {2}(--[a-z-]+) [A-Zor]/gm)) assert.match(run([option]).output, /lacks its value/);
});

test('The README starts a cluster by this script', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const commands = [...readme.matchAll(/deploy\/local-cluster\.sh( --backplane redis)?(?=\n|`)/g)];
  assert.ok(commands.length >= 2, 'both ways to start one');
});

test('The scripts have nothing that ShellCheck warns of', { skip: isInstalled('shellcheck') ? undefined : 'shellcheck is not installed' }, () => {
  const scripts = ['deploy/local-cluster.sh', 'test.sh', 'tests/debian.sh', 'bench/run', 'bench/load/check.sh', '.ci/run'];
  const { status, stdout } = spawnSync('shellcheck', ['--external-sources', ...scripts], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
