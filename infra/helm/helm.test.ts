// The chart as it is rendered: what Kubernetes' and KEDA's own types say of it (the compiler is the judge: a misspelled field is none of
// theirs), which variables the services know, which metrics exist, and what a worker may reach.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import { findHelm } from '../bootstrap/helm.ts';
import { variables } from '../../libs/config/src/variables.ts';
import { createMetrics } from '../../libs/telemetry/src/metrics.ts';

const root = resolve(import.meta.dirname, '../..');
const chart = join(import.meta.dirname, 'tavus-fleet');
const helm = findHelm();

/** The least that must be said, and everything that can be switched on. */
const least = { fleetId: 'prod', secrets: { existing: 'fleet' } };
const most = {
  ...least,
  env: {
    common: { TAVUS_MAX_CONCURRENT: 20, LOG_LEVEL: 'debug' },
    worker: { WORKER_PAGE_MEMORY_MB: 512 },
    api: { PUBLIC_URL: 'https://f.example' },
  },
  deletionCost: { enabled: true },
  keda: { enabled: true, matchers: 'namespace="avatars"' },
  networkPolicy: { egress: [{ ports: [{ protocol: 'TCP', port: 6379 }], to: [{ ipBlock: { cidr: '10.1.2.3/32' } }] }] },
  podAnnotations: { team: 'avatars' },
  imagePullSecrets: [{ name: 'registry' }],
  worker: { nodeSelector: { pool: 'media' }, tolerations: [{ key: 'media', operator: 'Exists' }] },
};

/** A helm that was built from its module thinks of an old Kubernetes. */
const AS_IF = ['--namespace', 'avatars', '--kube-version', '1.34.0'];

const Manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
type Manifest = z.infer<typeof Manifest>;

/** Where each kind's type is. */
const models: Readonly<Record<string, { readonly from: string; readonly type: string }>> = {
  'apps/v1 Deployment': { from: 'kubernetes-models/apps/v1', type: 'IDeployment' },
  'v1 Service': { from: 'kubernetes-models/v1', type: 'IService' },
  'v1 ServiceAccount': { from: 'kubernetes-models/v1', type: 'IServiceAccount' },
  'policy/v1 PodDisruptionBudget': { from: 'kubernetes-models/policy/v1', type: 'IPodDisruptionBudget' },
  'networking.k8s.io/v1 NetworkPolicy': { from: 'kubernetes-models/networking.k8s.io/v1', type: 'INetworkPolicy' },
  'rbac.authorization.k8s.io/v1 Role': { from: 'kubernetes-models/rbac.authorization.k8s.io/v1', type: 'IRole' },
  'rbac.authorization.k8s.io/v1 RoleBinding': {
    from: 'kubernetes-models/rbac.authorization.k8s.io/v1',
    type: 'IRoleBinding',
  },
  'keda.sh/v1alpha1 ScaledObject': { from: '@kubernetes-models/keda/keda.sh/v1alpha1', type: 'IScaledObject' },
};

// Inside the repository: the compiler finds the types from where a file lies.
let folder: string;
beforeAll(() => {
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/helm-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function render(values: object, of = chart): Manifest[] {
  const file = join(folder, 'values.json');
  writeFileSync(file, JSON.stringify(values));
  const text = execFileSync(helm ?? '', ['template', 'fleet', of, ...AS_IF, '--values', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return parseAllDocuments(text)
    .map((document) => document.toJS() as unknown)
    .filter((document) => document !== null)
    .map((document) => Manifest.parse(document));
}

function refusal(values: object): string {
  const file = join(folder, 'values.json');
  writeFileSync(file, JSON.stringify(values));
  return spawnSync(helm ?? '', ['template', 'fleet', chart, ...AS_IF, '--values', file], { encoding: 'utf8' }).stderr;
}

/** What the compiler says of manifests against the types of their kinds; empty: nothing. */
function problems(manifests: readonly Manifest[]): string {
  const lines = manifests.map((manifest, at) => {
    const model = models[`${manifest.apiVersion} ${manifest.kind}`];
    if (!model) throw new Error(`No type is known for ${manifest.apiVersion} ${manifest.kind}.`);
    return `export const m${at}: import('${model.from}').${model.type} = ${JSON.stringify(manifest, undefined, 1)};`;
  });
  writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const flags = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--module',
    'nodenext',
    '--target',
    'esnext',
    '--ignoreConfig',
  ];
  return spawnSync(process.execPath, [tsc, ...flags, join(folder, 'manifests.ts')], { encoding: 'utf8' }).stdout;
}

const Container = z.looseObject({ name: z.string(), env: z.array(z.looseObject({ name: z.string() })) });
const Deployment = z.looseObject({
  spec: z.looseObject({ template: z.looseObject({ spec: z.looseObject({ containers: z.array(Container) }) }) }),
});
const find = (manifests: readonly Manifest[], kind: string, component: string): Manifest => {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name.endsWith(component));
  if (!found) throw new Error(`There is no ${kind} of ${component}.`);
  return found;
};
const envOf = (manifests: readonly Manifest[], component: 'api' | 'worker'): string[] =>
  Deployment.parse(find(manifests, 'Deployment', component)).spec.template.spec.containers.flatMap(({ env }) =>
    env.map(({ name }) => name),
  );

describe.skipIf(helm === undefined)('the chart', () => {
  it.each([
    ['the least', least],
    ['everything', most],
  ])(
    'with %s said renders what Kubernetes and KEDA know, to the field',
    (_, values) => {
      const manifests = render(values);
      expect(manifests.length).toBeGreaterThanOrEqual(7);
      expect(problems(manifests)).toBe('');
    },
    60_000,
  );

  it.each([
    {
      what: 'a field',
      from: 'readOnlyRootFilesystem',
      to: 'readOnlyRootFileSystem',
      in: '_helpers.tpl',
    },
    {
      what: 'a type',
      from: 'failureThreshold: 30',
      to: "failureThreshold: 'thirty'",
      in: 'api.yaml',
    },
    {
      what: 'a field of KEDA',
      from: 'minReplicaCount',
      to: 'minReplicas',
      in: 'scaled-object.yaml',
    },
  ])(
    '$what that is wrong is found',
    ({ from, to, in: file }) => {
      const broken = join(folder, 'broken');
      cpSync(chart, broken, { recursive: true });
      const path = join(broken, 'templates', file);
      const text = readFileSync(path, 'utf8');
      expect(text).toContain(from);
      writeFileSync(path, text.replaceAll(from, to));
      expect(problems(render(most, broken))).toMatch(/error TS/);
    },
    60_000,
  );

  it('sets variables that the service knows', () => {
    const known = (service: 'api' | 'worker'): string[] => [
      ...Object.entries(variables).flatMap(([name, { usedBy }]) => (usedBy.includes(service) ? [name] : [])),
      'OTEL_EXPORTER_OTLP_HEADERS', // the exporter's own
    ];
    for (const values of [least, most])
      for (const service of ['api', 'worker'] as const)
        // What is common goes to both, also where only one looks at it.
        expect(envOf(render(values), service).filter((name) => !known(service).includes(name))).toEqual([]);
    expect(envOf(render(most), 'worker')).toContain('KUBERNETES_POD');
    expect(envOf(render(least), 'worker')).not.toContain('KUBERNETES_POD');
  });

  it('lets nobody reach metadata or private networks beyond what was said', () => {
    const text = JSON.stringify(find(render(most), 'NetworkPolicy', 'worker'));
    for (const network of [
      '169.254.0.0/16',
      '10.0.0.0/8',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '100.64.0.0/10',
      'fc00::/7',
    ])
      expect(text).toContain(network);
    expect(text).toContain('10.1.2.3/32');
  });

  it('gives a worker longer than Tavus’ longest call, and Kubernetes longer than that', () => {
    const text = JSON.stringify(find(render(least), 'Deployment', 'worker'));
    const drain = Number(/"WORKER_DRAIN_SECONDS","value":"(\d+)"/.exec(text)?.[1]);
    const grace = Number(/"terminationGracePeriodSeconds":(\d+)/.exec(text)?.[1]);
    expect(drain).toBeGreaterThan(3_600);
    expect(grace).toBeGreaterThanOrEqual(drain + 30);
  });

  it('scales on metrics that are exposed', async () => {
    const text = stringify(find(render(most), 'ScaledObject', 'worker'));
    const named = [...text.matchAll(/fleet_[a-z_]+/g)].map(([name]) => name);
    const { body } = await createMetrics().expose();
    expect(named).not.toEqual([]);
    for (const name of named) expect(body).toContain(`# TYPE ${name} `);
    expect(text).toContain('namespace="avatars"');
    expect(JSON.stringify(find(render(most), 'Deployment', 'worker'))).not.toContain('"replicas"');
  });

  it.each([
    { values: {}, says: 'fleetId' },
    { values: { fleetId: 'prod' }, says: 'secrets.existing' },
    { values: { ...least, fleetID: 'x' }, says: 'fleetID' },
    { values: { ...least, worker: { replicas: 'two' } }, says: 'replicas' },
    { values: { ...least, worker: { terminationGracePeriodSeconds: 60 } }, says: 'terminationGracePeriodSeconds' },
    { values: { ...least, networkPolicy: { denied: ['10.0.0.0/8'] } }, says: 'denied' },
  ])('refuses wrong values by name: $says', ({ values, says }) => {
    expect(refusal(values)).toContain(says);
  });
});
