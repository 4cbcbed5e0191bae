import { loadConfig } from '@tavus-fleet/config';
import { StartRequest } from '@tavus-fleet/contracts';
import { createKeys, Leases, Ledger, Records, tavusName, WorkerRegistry } from '@tavus-fleet/redis';
import { redisFixture } from '@tavus-fleet/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { run } from './program.ts';

const fixture = redisFixture({ allow: /:(record|secrets|frames|events|ledger)$/ });
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const create = async (conversationId: string): Promise<void> => {
  const room = { url: 'https://acme.daily.co/room-secret', token: 'token-secret' };
  const request = StartRequest.parse({ replicaId: 'r1', output: { room } });
  await records.create({ request, createdBy: 'backend', conversationId });
};

async function fleet(...argv: string[]): Promise<{ code: number; out: string; err: string; json: () => unknown }> {
  let [out, err] = ['', ''];
  const env = { REDIS_URL: fixture.url, KEY_PREFIX: fixture.keyPrefix, TAVUS_BASE_URL: 'http://127.0.0.1:1' };
  const code = await run(argv, {
    config: () => loadConfig('cli', env),
    env: process.env,
    write: (text) => (out += text),
    complain: (text) => (err += text),
  });
  return { code, out, err, json: () => JSON.parse(out) as unknown }; // safe: the test compares it as a whole
}

beforeAll(async () => {
  for (const id of ['waits', 'runs', 'over']) await create(id);
  const acquired = await new Leases({ commands: redis, lease: redis, keys }).acquire('runs', 'w1');
  if (!('ownership' in acquired)) throw new Error(acquired.refused);
  await records.move(acquired.ownership, 'starting');
  await records.patch(acquired.ownership, { tavusConversationId: 't1' });
  const row = { conversationId: 'runs', epoch: 1, attempt: 1, workerId: 'w1' };
  await new Ledger(redis, keys).adopted({ ...row, name: tavusName({ base: '', fleetId: 'dev', ...row }) }, 't1');
  await records.desire('over', 'cancel');
});

describe('fleet', () => {
  it('lists what is not over, and on request what is', async () => {
    const { code, out } = await fleet('list');
    expect(code).toBe(0);
    expect(out).toMatch(/^conversation +state/);
    expect(out).toMatch(/^runs +starting .*w1/m);
    expect(out).toMatch(/^waits +queued/m);
    expect(out).not.toMatch(/^over/m);
    expect((await fleet('list', '--all', '--json')).json()).toMatchObject({
      conversations: expect.arrayContaining([expect.objectContaining({ conversationId: 'over', state: 'canceled' })]),
    });
    expect((await fleet('list', '--state', 'canceled')).out).toMatch(/^over +canceled/m);
    expect((await fleet('list', '--limit', '1', '--json')).json()).toMatchObject({ conversations: [{}] });
  });

  it('shows one with its place, rows and events, and no secret', async () => {
    const waits = await fleet('show', 'waits', '--json');
    expect(waits.json()).toMatchObject({ state: 'queued', queue: { position: 1 }, events: [{ type: 'state' }] });
    const runs = await fleet('show', 'runs');
    expect(runs.out).toContain('[tf:dev:runs:1.1]');
    expect(waits.out + runs.out).not.toContain('secret');
    expect((await fleet('show', 'never')).code).toBe(1);
  });

  it('stops and cancels as the api does', async () => {
    expect(await fleet('stop', 'runs')).toMatchObject({ code: 0, out: 'runs: asked; its owner obeys\n' });
    expect((await fleet('stop', 'runs', '--json')).json()).toMatchObject({ outcome: 'already' });
    expect((await fleet('cancel', 'waits', '--json')).json()).toMatchObject({ outcome: 'final' });
    expect((await fleet('stop', 'over')).code).toBe(1);
    expect((await fleet('cancel', 'never')).code).toBe(1);
    expect((await fleet('cancel', 'a b')).code).toBe(1);
  });

  it('lists workers and drains one', async () => {
    const registry = new WorkerRegistry(redis, keys);
    const worker = { id: 'w9', url: 'http://127.0.0.1:1', capacity: 4, live: 1, load: 0.25, draining: false };
    await registry.heartbeat({ ...worker, version: '1', since: new Date().toISOString() });
    expect((await fleet('workers')).out).toMatch(/^w9 +1 +4 +0\.25 +no/m);
    expect((await fleet('drain', 'w9')).code).toBe(0);
    expect(await registry.heartbeat({ ...worker, version: '1', since: new Date().toISOString() })).toEqual({
      drain: true,
    });
    expect((await fleet('drain', 'w0')).code).toBe(1);
    await registry.remove('w9');
  });

  it('shows the ledger, and that a Tavus which does not answer cannot be compared with', async () => {
    const shown = await fleet('ledger');
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/^runs +starting +yes +1\.1 +w1 +t1/m);
    expect(shown.out).toContain('slots 1 open, 0 reserved, of 10');
    expect((await fleet('ledger', '--tavus')).code).toBe(69);
  });

  it('doctor says what is wrong and exits 1', async () => {
    const { code, out } = await fleet('doctor', '--no-browser', '--json');
    expect(code).toBe(1); // nobody answers as Tavus
    const { findings } = JSON.parse(out) as { findings: { check: string; status: string }[] }; // our own shape, above
    const status = Object.fromEntries(findings.map((finding) => [finding.check, finding.status]));
    expect(status).toMatchObject({
      redis: 'ok',
      'redis version': 'ok',
      'redis maxmemory-policy': 'ok',
      'redis persistence': 'warn',
      clock: 'ok',
      'api keys': 'warn',
      'fleet id': 'ok',
      tavus: 'fail',
      workers: 'warn',
    });
  });

  it('says how it is used: 0 when asked, 64 when wrong', async () => {
    const help = await fleet('--help');
    expect(help.code).toBe(0);
    for (const command of ['list', 'show', 'stop', 'cancel', 'drain', 'ledger', 'doctor'])
      expect(help.out).toContain(command);
    expect((await fleet('dance')).code).toBe(64);
    expect((await fleet('list', '--state', 'asleep')).code).toBe(64);
    expect((await fleet('show')).code).toBe(64);
  });
});
