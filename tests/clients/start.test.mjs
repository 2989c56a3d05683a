// Silos and gateways start from the environment that Aspire, or the manifests for Kubernetes, give them, and from nothing else.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Manifests, whyNoKustomize } from './kubernetes.mjs';
import { Helper, findFreePort, findFreePorts, isInstalled } from './processes.mjs';
import { Connection, post } from './protocol.mjs';
import { Journal } from './waiting.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = process.env.FANFARE_BROKER_DLL ?? join(root, 'Broker/bin/Release/net10.0/Fanfare.Broker.dll');
const redisServer = ['redis-server', 'valkey-server'].find(isInstalled);
const whyNot = !redisServer ? 'neither Redis nor Valkey is installed' : existsSync(program) ? undefined : 'the Broker is not built';

/** A folder and a Redis with a password, both gone when the test is. */
async function prepare(t) {
  const folder = mkdtempSync(join(tmpdir(), 'fanfare-start-'));
  const port = await findFreePort();
  const password = 'oneTimePassword';
  const redis = new Helper(redisServer, ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--requirepass', password]);
  await redis.printed('Ready to accept connections');
  t.after(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true });
  });
  return { folder, connectionString: `127.0.0.1:${port},password=${password}`, redis: { port, password } };
}

/** Starts a node with an environment of its own, and waits until it is healthy at an address. */
async function startNode(t, environment, url, cwd) {
  const bare = { PATH: process.env.PATH, HOME: cwd, ...environment };
  for (const name of ['DOTNET_ROOT']) if (process.env[name]) bare[name] = process.env[name];
  const variables = Object.entries(bare).map(([name, value]) => `${name}=${value}`);
  const node = new Helper('env', ['-i', ...variables, 'dotnet', program], { cwd });
  t.after(() => node.stop());
  await node.printed('Fanfare is listening on', 60_000);
  const { status } = await fetch(`${url}/health`, { signal: AbortSignal.timeout(20_000) });
  assert.equal(status, 200, node.lines.entries.join('\n'));
  return node;
}

/** An event published at one gateway arrives at a subscriber of the other; each stops with 0 when it is asked to. */
async function assertCarriesEvents(publishUrl, subscribeUrl, key) {
  const authorization = { host: new URL(subscribeUrl).host, 'x-api-key': key };
  const subscriber = await Connection.connect(subscribeUrl, authorization);
  subscriber.send({ type: 'subscribe', id: 'all', channel: '/default/*', authorization });
  await subscriber.frames.until('the subscription', ({ type }) => type === 'subscribe_success');
  const { status } = await post(publishUrl, { 'x-api-key': key }, { channel: '/default/started', events: ['1'] });
  assert.equal(status, 200);
  await subscriber.frames.until('the event', ({ type }) => type === 'data');
}

/** The collector of Aspire's dashboard: counts what arrives by OTLP over gRPC. */
async function startCollector(t) {
  const calls = new Journal('the calls of the collector');
  const server = createServer();
  server.on('stream', (stream, headers) => {
    const chunks = [];
    stream.on('error', () => {});
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      calls.push({ path: headers[':path'], key: headers['x-otlp-api-key'], body: Buffer.concat(chunks).toString('latin1') });
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      // An empty message.
      stream.end(Buffer.alloc(5));
    });
  });
  const sessions = new Set();
  server.on('session', (session) => sessions.add(session));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { calls, url: `http://127.0.0.1:${server.address().port}` };
}

test('A silo and two gateways start from what Aspire sets', { skip: whyNot, timeout: 240_000 }, async (t) => {
  const { folder, connectionString, redis } = await prepare(t);
  const collector = await startCollector(t);
  const ports = await findFreePorts(5);

  // What the AppHost says itself; the rest is Aspire's.
  const own = {
    silo: { Fanfare__Roles: 'Silo', Orleans__Endpoints__AdvertisedIPAddress: '127.0.0.1' },
    gateway: { Fanfare__Roles: 'Gateway', Fanfare__Data: join(folder, 'data'), Fanfare__PublicUrl: 'http://localhost:8080' },
  };
  const app = readFileSync(join(root, 'AppHost/apphost.cs'), 'utf8');
  const said = [...app.matchAll(/WithEnvironment\("(\w+)", /g)].map(([, name]) => name);
  assert.deepEqual(said.sort(), [...Object.keys(own.silo), ...Object.keys(own.gateway)].sort());

  const both = (name, port) => ({
    ASPNETCORE_URLS: `http://localhost:${port}`,
    ConnectionStrings__redis: connectionString,
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: redis.port,
    REDIS_PASSWORD: redis.password,
    REDIS_URI: `redis://:${redis.password}@127.0.0.1:${redis.port}`,
    Orleans__ClusterId: 'fanfare',
    Orleans__ServiceId: 'fanfare',
    Orleans__Clustering__ProviderType: 'Redis',
    Orleans__Clustering__ServiceKey: 'redis',
    Orleans__EnableDistributedTracing: 'true',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-otlp-api-key=0123456789abcdef',
    OTEL_SERVICE_NAME: name,
    OTEL_RESOURCE_ATTRIBUTES: `service.instance.id=${name}-${port}`,
    OTEL_BLRP_SCHEDULE_DELAY: '1000',
    OTEL_BSP_SCHEDULE_DELAY: '1000',
    OTEL_METRIC_EXPORT_INTERVAL: '1000',
    OTEL_TRACES_SAMPLER: 'always_on',
    OTEL_METRICS_EXEMPLAR_FILTER: 'trace_based',
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'true',
    OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY: 'in_memory',
    OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION: 'true',
    OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION: 'true',
    LOGGING__CONSOLE__FORMATTERNAME: 'simple',
    DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION: 'true',
  });
  const silo = await startNode(t, {
    ...both('silo', ports),
    Orleans__GrainStorage__Default__ProviderType: 'Redis',
    Orleans__GrainStorage__Default__ServiceKey: 'redis',
    Orleans__Endpoints__SiloPort: ports + 1,
    Orleans__Endpoints__GatewayPort: ports + 2,
    ...own.silo,
  }, `http://localhost:${ports}`, folder);
  const gateways = await Promise.all([3, 4].map((offset) =>
    startNode(t, { ...both('gateway', ports + offset), ...own.gateway }, `http://localhost:${ports + offset}`, folder)));

  const { apiKey } = JSON.parse(readFileSync(join(folder, 'data/identity.json'), 'utf8'));
  await assertCarriesEvents(`http://localhost:${ports + 3}`, `http://localhost:${ports + 4}`, apiKey);
  for (const instance of [`silo-${ports}`, `gateway-${ports + 3}`, `gateway-${ports + 4}`]) {
    const call = await collector.calls.until(`metrics of ${instance}`, ({ path, body }) =>
      path.endsWith('MetricsService/Export') && body.includes(instance), { deadline: 30_000 });
    assert.equal(call.key, '0123456789abcdef');
  }
  for (const node of [...gateways, silo]) assert.equal(await node.terminate(60_000), 0);
});

test('A silo and two gateways start from what the manifests set', { skip: whyNot ?? whyNoKustomize(), timeout: 240_000 }, async (t) => {
  const { folder, connectionString } = await prepare(t);
  const manifests = new Manifests(join(root, 'deploy/kubernetes/trial'));
  const ports = await findFreePorts(5);
  /** The environment of a container, with this machine in place of pod and cluster. */
  const environment = (name, changes) => {
    const { pod } = manifests.find('Deployment', name);
    const [container] = pod.spec.containers;
    const variables = manifests.environment(container);
    for (const [variable, value] of Object.entries(variables)) {
      if (value.secretKeyRef) {
        assert.match(manifests.secret(value.secretKeyRef), /^fanfare-redis:6379$/);
        variables[variable] = connectionString;
      } else if (value.fieldRef) {
        assert.equal(value.fieldRef.fieldPath, 'status.podIP');
        variables[variable] = '127.0.0.1';
      }
    }
    for (const { secret, name: volume } of pod.spec.volumes.filter(({ secret }) => secret)) {
      const mounted = join(folder, name);
      mkdirSync(mounted, { recursive: true });
      for (const key of Object.keys(manifests.find('Secret', secret.secretName).data)) {
        writeFileSync(join(mounted, key), manifests.secret({ name: secret.secretName, key }));
      }
      const { mountPath } = container.volumeMounts.find((mount) => mount.name === volume);
      assert.equal(variables.Fanfare__Data, mountPath);
      // As a mounted secret is: not to be written.
      spawnSync('chmod', ['-R', 'a-w', mounted]);
      variables.Fanfare__Data = mounted;
    }
    return { ...variables, ...changes };
  };
  const http = (offset) => ({ ASPNETCORE_HTTP_PORTS: ports + offset });
  const silo = await startNode(t, environment('fanfare-silo', {
    ...http(0), Orleans__Endpoints__SiloPort: ports + 1, Orleans__Endpoints__GatewayPort: ports + 2,
  }), `http://localhost:${ports}`, folder);
  const gateways = await Promise.all([3, 4].map((offset) =>
    startNode(t, environment('fanfare-gateway', http(offset)), `http://localhost:${ports + offset}`, folder)));

  const { apiKey } = JSON.parse(readFileSync(join(root, 'deploy/kubernetes/trial/identity.json'), 'utf8'));
  await assertCarriesEvents(`http://localhost:${ports + 3}`, `http://localhost:${ports + 4}`, apiKey);

  // The command of the docs, through the port that they forward.
  const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');
  const [command] = page.match(/^curl .*$/m);
  const { stdout } = spawnSync('sh', ['-c', `${command.replace('localhost:8080', `localhost:${ports + 3}`)} -s --max-time 20`], { encoding: 'utf8' });
  assert.equal(JSON.parse(stdout).failed.length, 0);
  for (const node of [...gateways, silo]) assert.equal(await node.terminate(90_000), 0);
});
