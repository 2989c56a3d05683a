// What is in deploy/ and AppHost/ is consistent: with itself, with the programs it starts, and with what the docs say of it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { Gateway } from './gateway.mjs';
import { Manifests, findSchemaErrors, whyNoKustomize } from './kubernetes.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path) => readFileSync(join(root, path), 'utf8');
const version = /<Version>(.+)<\/Version>/.exec(read('Directory.Build.props'))[1];
const operations = read('docs/operations.md');
const page = read('docs/kubernetes.md');
const scratch = mkdtempSync(join(tmpdir(), 'fanfare-deploy-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** The only code block of a language that holds a text. */
function snippet(language, holding) {
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].filter(([, name, text]) => name === language && text.includes(holding));
  assert.equal(blocks.length, 1, `one ${language} block with ${holding}`);
  return blocks[0][2];
}

/** Seconds of a setting such as 00:01:30. */
const seconds = (time) => time.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);

const isProject = (name) => existsSync(join(root, name, `${name}.csproj`));

// ---- The image

const containerfile = read('deploy/Containerfile').replaceAll(/\\\n/g, ' ').split('\n').filter((line) => !line.startsWith('#'));
const instructions = (name) => containerfile.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1).trim());

test('The image is built from files that exist, and that its ignore file lets through', () => {
  const allowed = read('.containerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  assert.equal(read('.dockerignore'), read('.containerignore'), 'Docker reads one name, Podman the other');
  const sources = instructions('COPY').filter((copy) => !copy.startsWith('--from')).flatMap((copy) => copy.split(/\s+/).slice(0, -1));
  assert.ok(sources.length > 5);
  for (const source of sources) {
    assert.ok(allowed.some((path) => source === path || source.startsWith(`${path}/`)), `.containerignore lets ${source} through`);
    assert.ok(existsSync(join(root, source)), `${source} exists`);
  }
});

test('The image starts programs that it has published, under the names that they have', () => {
  const started = JSON.parse(instructions('ENTRYPOINT')[0]);
  const inComments = read('deploy/Containerfile').match(/^#.*\/app\/\S+\.dll/gm).map((line) => line.match(/\/app\/\S+\.dll/)[0]);
  for (const program of [started[1], ...inComments]) {
    const [, folder, project] = /^\/app\/(\w+)\/Fanfare\.(\w+)\.dll$/.exec(program);
    assert.ok(instructions('RUN').some((run) => run.includes(`publish ${project}/${project}.csproj`) && run.endsWith(`-o /app/${folder}`)),
      `${program} is published`);
    assert.ok(isProject(project), `there is a project ${project}`);
  }
  assert.match(read('Directory.Build.props'), /<AssemblyName>Fanfare\.\$\(MSBuildProjectName\)</);
  assert.match(instructions('USER')[0], /^[1-9]\d*:[1-9]\d*$/, 'a user by number, so that Kubernetes can see that it is not root');
});

// ---- Aspire

test('The Aspire application names projects that exist, packages of one version, and its configuration file finds it', () => {
  const app = read('AppHost/apphost.cs');
  const versions = new Set([...app.matchAll(/^#:(?:sdk|package) Aspire\.\S+@(\S+)$/gm)].map(([, found]) => found));
  assert.equal(versions.size, 1, [...versions].join(', '));
  for (const [, project] of app.matchAll(/^#:project (\S+)$/gm)) assert.ok(existsSync(join(root, 'AppHost', project)), project);
  assert.ok(statSync(join(root, JSON.parse(read('aspire.config.json')).appHost.path)).isFile());
});

// ---- Kubernetes

const whyNot = whyNoKustomize();
const options = { skip: whyNot, timeout: 60_000 };

/** The overlay of the docs, as a reader would make it. */
function makeDocumentedOverlay() {
  const folder = join(scratch, 'repository');
  if (existsSync(folder)) return join(folder, 'fleet');
  cpSync(join(root, 'deploy/kubernetes'), join(folder, 'deploy/kubernetes'), { recursive: true });
  mkdirSync(join(folder, 'fleet'));
  writeFileSync(join(folder, 'fleet/kustomization.yaml'), snippet('yaml', '# fleet/kustomization.yaml'));
  cpSync(join(root, 'tests/clients/templates', readdirSync(join(root, 'tests/clients/templates'))[0]), join(folder, 'fleet/api.yaml'));
  return join(folder, 'fleet');
}

const folders = {
  base: () => join(root, 'deploy/kubernetes/base'),
  trial: () => join(root, 'deploy/kubernetes/trial'),
  'the fleet of the docs': makeDocumentedOverlay,
};
const rendered = new Map();
const render = (name) => {
  if (!rendered.has(name)) rendered.set(name, new Manifests(folders[name]()));
  return rendered.get(name);
};

/** The secrets that the operator makes. */
const ownSecrets = { 'fanfare-redis': ['connection-string'], 'fanfare-identity': ['identity.json'] };

for (const name of Object.keys(folders)) {
  test(`Kubernetes, ${name}: every object is as Kubernetes' schema wants it`, options, async () => {
    const manifests = render(name);
    assert.equal(manifests.warnings, '');
    const errors = await Promise.all(manifests.objects.map(async (object) =>
      (await findSchemaErrors(object)).map((error) => `${object.kind} ${object.metadata.name}: ${error}`)));
    assert.deepEqual(errors.flat(), []);
    const names = manifests.objects.filter(({ kind }) => kind !== 'Namespace').map(({ metadata }) => metadata.namespace);
    assert.deepEqual([...new Set(names)], ['fanfare']);
  });

  test(`Kubernetes, ${name}: every container is confined`, options, () => {
    for (const { metadata, pod } of render(name).workloads) {
      const { securityContext, containers, initContainers = [], volumes = [] } = pod.spec;
      assert.equal(securityContext.runAsNonRoot, true, metadata.name);
      assert.ok(securityContext.runAsUser > 0, metadata.name);
      assert.equal(securityContext.seccompProfile.type, 'RuntimeDefault', metadata.name);
      assert.equal(pod.spec.automountServiceAccountToken, false, metadata.name);
      assert.ok(!pod.spec.hostNetwork && !pod.spec.hostPID && !volumes.some(({ hostPath }) => hostPath), metadata.name);
      for (const container of [...containers, ...initContainers]) {
        const confined = container.securityContext;
        assert.equal(confined.readOnlyRootFilesystem, true, container.name);
        assert.equal(confined.allowPrivilegeEscalation, false, container.name);
        assert.deepEqual(confined.capabilities, { drop: ['ALL'] }, container.name);
        assert.ok(container.resources.requests.cpu && container.resources.requests.memory && container.resources.limits.memory, container.name);
        assert.doesNotMatch(container.image, /:latest$|^[^:]+$/, 'an image has a version');
        for (const { name: volume } of container.volumeMounts) {
          assert.ok([...volumes, ...workloadClaims(render(name), metadata.name)].some((found) => found.name === volume), volume);
        }
      }
    }
  });

  test(`Kubernetes, ${name}: whatever is referred to exists`, options, () => {
    const manifests = render(name);
    const requireSecret = (secret, keys) => {
      const made = manifests.find('Secret', secret);
      const known = made ? Object.keys(made.data) : ownSecrets[secret];
      assert.ok(known, `Secret ${secret} exists or is one that the operator makes`);
      for (const key of keys) assert.ok(known.includes(key), `Secret ${secret} has ${key}`);
    };
    for (const { pod, spec } of manifests.workloads) {
      assert.ok(manifests.find('ServiceAccount', pod.spec.serviceAccountName), pod.spec.serviceAccountName);
      if (spec.serviceName) assert.ok(manifests.find('Service', spec.serviceName), spec.serviceName);
      for (const volume of pod.spec.volumes ?? []) {
        if (volume.secret) requireSecret(volume.secret.secretName, ['identity.json']);
        if (volume.configMap) assert.ok(manifests.find('ConfigMap', volume.configMap.name), volume.configMap.name);
      }
      for (const container of pod.spec.containers) {
        for (const { configMapRef } of container.envFrom ?? []) assert.ok(manifests.find('ConfigMap', configMapRef.name), configMapRef.name);
        for (const { valueFrom } of container.env ?? []) if (valueFrom?.secretKeyRef) requireSecret(valueFrom.secretKeyRef.name, [valueFrom.secretKeyRef.key]);
        const ports = container.ports.map((port) => port.name);
        for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'].map((kind) => container[kind]).filter(Boolean)) {
          const port = probe.httpGet?.port ?? probe.tcpSocket?.port;
          if (port) assert.ok(ports.includes(port), `${container.name} has a port ${port}`);
        }
      }
    }
    for (const autoscaler of manifests.all('HorizontalPodAutoscaler')) {
      const { kind, name: target } = autoscaler.spec.scaleTargetRef;
      const workload = manifests.find(kind, target);
      assert.ok(workload, target);
      assert.equal(workload.spec.replicas, undefined, 'a scaled workload has no number of its own, which every apply would restore');
      for (const { pods, resource } of autoscaler.spec.metrics) {
        if (pods) assert.match(operations, new RegExp(`^\\| \`${pods.metric.name}\` \\| gauge`, 'm'), 'the metric is one of ours');
        if (resource) assert.ok(workload.pod.spec.containers.every(({ resources }) => resources.requests[resource.name]), resource.name);
      }
    }
  });

  test(`Kubernetes, ${name}: every selector finds pods, and every port is one of theirs`, options, () => {
    const manifests = render(name);
    const portsOf = (workloads) => workloads.flatMap(({ pod }) => pod.spec.containers.flatMap(({ ports }) => ports));
    for (const workload of manifests.workloads) {
      assert.deepEqual(manifests.select(workload.spec.selector), [workload], `${workload.metadata.name} selects its own pods and no others`);
      for (const { labelSelector } of workload.pod.spec.topologySpreadConstraints ?? []) assert.deepEqual(manifests.select(labelSelector), [workload]);
    }
    for (const service of manifests.all('Service')) {
      const found = manifests.select({ matchLabels: service.spec.selector });
      assert.equal(found.length, 1, service.metadata.name);
      for (const { targetPort } of service.spec.ports) assert.ok(portsOf(found).some((port) => port.name === targetPort), targetPort);
    }
    for (const budget of manifests.all('PodDisruptionBudget')) {
      const [workload, ...others] = manifests.select(budget.spec.selector);
      assert.ok(workload && others.length === 0, budget.metadata.name);
      const autoscaler = manifests.all('HorizontalPodAutoscaler').find(({ spec }) => spec.scaleTargetRef.name === workload.metadata.name);
      const replicas = autoscaler?.spec.minReplicas ?? workload.spec.replicas;
      assert.ok(replicas >= 2, `${workload.metadata.name} survives the loss of a node`);
      const allowed = budget.spec.maxUnavailable ?? replicas - budget.spec.minAvailable;
      assert.ok(allowed >= 1 && allowed < replicas, `${budget.metadata.name} lets nodes be drained, and not of all at once`);
    }
    for (const { metadata, spec } of manifests.all('NetworkPolicy')) {
      const selected = manifests.select(spec.podSelector);
      assert.ok(selected.length > 0, metadata.name);
      const rules = [
        ...(spec.ingress ?? []).map((rule) => ({ peers: rule.from, ports: rule.ports, receivers: selected })),
        ...(spec.egress ?? []).map((rule) => ({ peers: rule.to, ports: rule.ports })),
      ];
      for (const { peers = [], ports, receivers } of rules) {
        const pods = peers.filter(({ podSelector }) => podSelector).flatMap(({ podSelector }) => {
          const found = manifests.select(podSelector);
          assert.ok(found.length > 0, `${metadata.name}: ${JSON.stringify(podSelector)}`);
          return found;
        });
        // What arrives must arrive at a port of these pods; what leaves for pods, at one of theirs.
        const listening = receivers ?? (pods.length > 0 ? pods : undefined);
        for (const { port } of listening ? ports : []) {
          assert.ok(portsOf(listening).some(({ containerPort }) => containerPort === port), `${metadata.name}: port ${port}`);
        }
      }
    }
    const denied = manifests.all('NetworkPolicy').find(({ spec }) => !spec.ingress && !spec.egress && spec.policyTypes.length === 2);
    assert.deepEqual(manifests.select(denied.spec.podSelector), manifests.workloads, 'all pods are denied what no policy allows');
  });

  test(`Kubernetes, ${name}: a pod has the time to stop that its program takes`, options, () => {
    for (const { metadata, pod, spec } of render(name).workloads) {
      const [container] = pod.spec.containers;
      const settings = render(name).environment(container);
      if (!settings.Fanfare__Roles) continue;
      const sleep = container.lifecycle?.preStop.sleep.seconds ?? 0;
      const shutdown = seconds(settings.Fanfare__ShutdownTimeout);
      assert.ok(pod.spec.terminationGracePeriodSeconds > sleep + shutdown, metadata.name);
      if (settings.Fanfare__DrainTime) assert.ok(shutdown >= seconds(settings.Fanfare__DrainTime) + 10, `${metadata.name}: 10 s for closes to be answered`);
      if (settings.Fanfare__Roles.includes('Gateway')) assert.ok(sleep >= 5, 'the load balancer learns of it first');
      assert.deepEqual(spec.strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 }, metadata.name);
      assert.equal(container.readinessProbe.httpGet.path, '/health');
      assert.equal(container.livenessProbe.httpGet.path, '/alive');
      assert.equal(container.startupProbe.httpGet.path, '/alive');
      assert.equal(container.image.split(':').at(-1), version, 'the version of this repository');
    }
  });
}

const workloadClaims = (manifests, name) =>
  manifests.workloads.find(({ metadata }) => metadata.name === name).spec.volumeClaimTemplates?.map(({ metadata }) => metadata) ?? [];

test('The rule for the metrics adapter is about a metric that the autoscaler asks for', options, () => {
  const [rule] = parse(snippet('yaml', 'seriesQuery')).rules;
  const asked = render('base').all('HorizontalPodAutoscaler').flatMap(({ spec }) => spec.metrics.flatMap(({ pods }) => pods?.metric.name ?? []));
  assert.deepEqual([/^\w+/.exec(rule.seriesQuery)[0]], asked);
  // It counts by pod: what it groups by must be labels of the pod, which the resource overrides name.
  assert.deepEqual(Object.keys(rule.resources.overrides), ['namespace', 'pod']);
});

test('The documented secrets are what the base asks for, and a gateway takes the documented identity', { timeout: 60_000 }, async () => {
  const folder = join(scratch, 'identity');
  mkdirSync(folder);
  const commands = snippet('sh', '> identity.json');
  const make = commands.slice(0, commands.indexOf('kubectl'));
  const made = spawnSync('sh', ['-c', make], { cwd: folder, encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  assert.equal(statSync(join(folder, 'identity.json')).mode & 0o777, 0o600, 'others cannot read it');
  const { apiId, apiKey, secret } = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8'));
  assert.match(apiId, /^[a-z0-9]{26}$/);
  assert.equal(Buffer.from(secret, 'base64').length, 32);

  for (const identity of [{ apiId, apiKey, secret }, JSON.parse(read('deploy/kubernetes/trial/identity.json'))]) {
    const gateway = await Gateway.start({ identity, secrets: [identity.secret] });
    try {
      const body = JSON.stringify({ channel: '/default/hello', events: ['{}'] });
      const answer = await fetch(`${gateway.url}/event`, { method: 'POST', headers: { 'x-api-key': identity.apiKey }, body });
      assert.equal(answer.status, 200);
      assert.ok(gateway.lines.entries.some((line) => line.includes(`(${identity.apiId})`)), 'the API has the id of the file');
    } finally {
      await gateway.stop();
    }
  }
  assert.match(page, new RegExp(`API key is \`${JSON.parse(read('deploy/kubernetes/trial/identity.json')).apiKey}\``));

  if (whyNot) return;
  const dryRun = commands.slice(commands.indexOf('kubectl')).replaceAll(/^(kubectl .*create .*)$/gm, '$1 --dry-run=client -o yaml; echo ---');
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', dryRun], { cwd: folder, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const created = stdout.split('---\n').filter((text) => text.trim()).map((text) => parse(text)).filter(({ kind }) => kind === 'Secret');
  assert.deepEqual(Object.fromEntries(created.map(({ metadata, data }) => [metadata.name, Object.keys(data)])),
    { 'fanfare-identity': ['identity.json'], 'fanfare-redis': ['connection-string'] });
});

test('The folders that the docs apply exist, and the docs say what is there', options, () => {
  for (const [, folder] of page.matchAll(/kubectl apply -k (deploy\S+)/g)) assert.ok(existsSync(join(root, folder, 'kustomization.yaml')), folder);
  const gateway = render('base').find('Deployment', 'fanfare-gateway');
  const settings = render('base').environment(gateway.pod.spec.containers[0]);
  const [autoscaler] = render('base').all('HorizontalPodAutoscaler');
  const said = (text) => assert.ok(page.replaceAll(/\s+/g, ' ').includes(text), text);
  said(`\`preStop\` sleep of ${gateway.pod.spec.containers[0].lifecycle.preStop.sleep.seconds} seconds`);
  said(`\`Fanfare:DrainTime\` (${seconds(settings.Fanfare__DrainTime)} s)`);
  said(`\`Fanfare:ShutdownTimeout\` (${seconds(settings.Fanfare__ShutdownTimeout)} s)`);
  said(`\`terminationGracePeriodSeconds\` (${gateway.pod.spec.terminationGracePeriodSeconds} s)`);
  said(`between ${autoscaler.spec.minReplicas} and ${autoscaler.spec.maxReplicas}, to ${Number(autoscaler.spec.metrics[0].pods.target.averageValue).toLocaleString('en')} connections`);
  for (const [, service, port] of page.matchAll(/port-forward service\/(\S+) \d+:(\d+)/g)) {
    assert.ok(render('trial').find('Service', service).spec.ports.some((found) => found.port === Number(port)), service);
  }
});
