import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PodDeletionCost } from './pod-deletion-cost.ts';

type Asked = { readonly method: string; readonly url: string; readonly headers: Record<string, unknown>; body: string };

let server: Server;
let account: string;
const asked: Asked[] = [];
const answers: number[] = [];

beforeEach(async () => {
  account = mkdtempSync(join(tmpdir(), 'account-'));
  for (const [name, text] of [
    ['token', 'first-token\n'],
    ['namespace', 'avatars'],
    ['ca.crt', ''],
  ] as const)
    writeFileSync(join(account, name), text);
  server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      asked.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(answers.shift() ?? 200).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  asked.length = 0;
  answers.length = 0;
  rmSync(account, { recursive: true });
  server.close();
  await once(server, 'close');
});

function setup(): { cost: PodDeletionCost; world: { sessions: number }; log: string[] } {
  const address = server.address();
  const world = { sessions: 3 };
  const log: string[] = [];
  const cost = new PodDeletionCost({
    pod: 'worker-a',
    sessions: () => world.sessions,
    clock: new FakeClock(),
    log: { warn: (_, message) => log.push(message) },
    account,
    server: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
  });
  return { cost, world, log };
}

it('patches its own pod with the number of its sessions, when it has changed, with the token of that moment', async () => {
  const { cost, world } = setup();
  await cost.now();
  await cost.now();
  expect(asked).toMatchObject([
    {
      method: 'PATCH',
      url: '/api/v1/namespaces/avatars/pods/worker-a',
      headers: { authorization: 'Bearer first-token', 'content-type': 'application/merge-patch+json' },
    },
  ]);
  expect(JSON.parse(asked[0]?.body ?? '')).toEqual({
    metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '3' } },
  });
  writeFileSync(join(account, 'token'), 'second-token');
  world.sessions = 0;
  await cost.now();
  expect(asked[1]).toMatchObject({ headers: { authorization: 'Bearer second-token' } });
  await cost.close();
  await cost.close();
});

it('a refusal is told once and tried again, until it works', async () => {
  const { cost, log } = setup();
  answers.push(403, 500);
  for (let n = 0; n < 4; n += 1) await cost.now();
  expect(asked).toHaveLength(3);
  expect(log).toEqual(['Kubernetes was not told the cost of this pod']);
  await cost.close();
});

it('outside of Kubernetes it says so and goes on', async () => {
  const { cost, log } = setup();
  rmSync(join(account, 'token'));
  await cost.now();
  expect(log).toHaveLength(1);
  expect(asked).toEqual([]);
  await cost.close();
});
