// Kubernetes manifests as kustomize renders them, and what a cluster would find out about them too late.

import { spawnSync } from 'node:child_process';
import { parseAllDocuments } from 'yaml';

const workloadKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'Job', 'CronJob'];

/** Why kustomize cannot run here; undefined where it can. */
export function whyNoKustomize() {
  const { status, stdout } = spawnSync('kubectl', ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
  if (status !== 0) return 'kubectl is not installed';
  const version = JSON.parse(stdout).kustomizeVersion;
  // The first to know "labels", "replicas" and patches of all kinds in one list; Debian 12 still has a kubectl without.
  return Number(/^v(\d+)/.exec(version)?.[1] ?? 0) >= 4 ? undefined : 'kubectl is too old: its kustomize is not version 4 or newer';
}

/** What a folder renders to. */
export class Manifests {
  constructor(folder) {
    // A folder outside the repository may use the base inside.
    const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', '--load-restrictor=LoadRestrictionsNone', folder], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`kubectl kustomize ${folder}: ${stderr}`);
    this.warnings = stderr;
    this.objects = parseAllDocuments(stdout, { schema: 'yaml-1.1' }).map((document) => document.toJS());
    this.workloads = this.objects.filter(({ kind }) => workloadKinds.includes(kind));
    for (const workload of this.workloads) workload.pod = workload.spec.template;
  }

  all(kind) {
    return this.objects.filter((object) => object.kind === kind);
  }

  find(kind, name) {
    return this.objects.find((object) => object.kind === kind && object.metadata.name === name);
  }

  /** The workloads whose pods a selector matches. */
  select(selector) {
    if (selector.matchExpressions) throw new Error('Teach this test about matchExpressions.');
    return this.workloads.filter(({ pod }) =>
      Object.entries(selector.matchLabels ?? {}).every(([label, value]) => pod.metadata.labels?.[label] === value));
  }

  /** The environment of a container: texts where the manifests have them, otherwise where the value comes from. */
  environment(container) {
    const variables = {};
    for (const { configMapRef } of container.envFrom ?? []) Object.assign(variables, this.find('ConfigMap', configMapRef.name).data);
    for (const { name, value, valueFrom } of container.env ?? []) variables[name] = value ?? valueFrom;
    return variables;
  }

  /** The text of a secret's entry. */
  secret({ name, key }) {
    return Buffer.from(this.find('Secret', name).data[key], 'base64').toString();
  }
}

/**
 * What is wrong with an object by Kubernetes' own schema. A member that the schema does not know is wrong too: the API server
 * would drop it without a word.
 */
export async function findSchemaErrors(object) {
  const { pod, ...plain } = object;
  const model = await import(`kubernetes-models/${object.apiVersion}`);
  const Model = model[object.kind];
  if (!Model) return [`${object.apiVersion} has no ${object.kind}`];

  // The validator looks at each member that it knows, so what nobody looked at is unknown.
  const unread = new Map();
  const watch = (value, path) => {
    if (typeof value !== 'object' || value === null) return value;
    for (const key of Object.keys(value)) unread.set(`${path}.${key}`, true);
    return new Proxy(value, {
      get(target, key) {
        const found = target[key];
        if (typeof key !== 'string' || !Object.hasOwn(target, key)) return found;
        if (!unread.delete(`${path}.${key}`)) return seen.get(`${path}.${key}`) ?? found;
        const watched = watch(found, `${path}.${key}`);
        seen.set(`${path}.${key}`, watched);
        return watched;
      },
    });
  };
  const seen = new Map();
  const copy = structuredClone(plain);
  // kustomize breaks long lines of base64.
  for (const key of Object.keys(copy.kind === 'Secret' ? copy.data : {})) copy.data[key] = copy.data[key].replaceAll('\n', '');
  const watched = watch(copy, '');
  const instance = new Model();
  for (const key of Object.keys(copy)) Object.defineProperty(instance, key, { get: () => watched[key], enumerable: true, configurable: true });
  try {
    instance.validate();
  } catch (error) {
    return [error.message];
  }
  return [...unread.keys()].map((path) => `${path} is unknown`);
}
