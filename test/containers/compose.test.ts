// docker-compose.yml for real: built, started, looked into, spoken through, a worker killed. Everything is seen from the host, as an
// operator and a user see it: published ports, `docker`, and a browser whose media comes out of the containers.
import type { Listeners } from '@tavus-fleet/testkit';
import { chirpWalk } from '@tavus-fleet/testkit/signals';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller, type Conversation } from '../e2e/fixtures/caller.ts';
import { between, expectWhole, figures, judge } from '../e2e/fixtures/judge.ts';
import { SimulatorView } from '../e2e/fixtures/simulator-view.ts';
import { eventually, joinRoom, startUsers, untilPictures } from '../e2e/fixtures/users.ts';
import { Compose, whyNoCompose } from './fixtures/compose.ts';

const RATE = 24_000;
/** One request's worth of speech; the whole is sent ahead of real time. */
const PIECE_MS = 500;

const missing = await whyNoCompose();
if (missing !== undefined) process.stderr.write(`docker compose is not here, so its tests are left out: ${missing}\n`);

let compose: Compose;
let users: Listeners;
let sim: SimulatorView;
let caller: Caller;

describe.skipIf(missing !== undefined)('docker compose up', () => {
  beforeAll(async () => {
    const started = performance.now();
    compose = await Compose.up();
    figures('compose', { builtAndUpSeconds: Math.round((performance.now() - started) / 1000) });
    sim = new SimulatorView(compose.simulator);
    await sim.small();
    users = await startUsers();
    caller = new Caller(compose.api, compose.apiKey);
  }, 12 * 60_000);

  afterAll(async () => {
    await users?.[Symbol.asyncDispose]();
    await compose?.[Symbol.asyncDispose]();
  }, 120_000);

  async function meet(
    room: string,
  ): Promise<{ conversation: Conversation; user: Awaited<ReturnType<typeof joinRoom>> }> {
    const user = await joinRoom(users, compose.simulator, room);
    const conversation = await caller.start({ output: { room: { url: `http://simulator:8090/rooms/${room}` } } });
    await conversation.untilState('live', 60_000);
    await untilPictures(user, 5);
    return { conversation, user };
  }

  async function say(conversation: Conversation, samples: Int16Array): Promise<void> {
    const send = async (frame: object): Promise<void> => {
      const { status } = await caller.ask('POST', `/v1/conversations/${conversation.id}/frames`, frame);
      expect(status).toBe(202);
    };
    await send({ type: 'tts-started' });
    const piece = (RATE * PIECE_MS) / 1_000;
    for (let at = 0; at < samples.length; at += piece) {
      const audio = Buffer.from(samples.slice(at, at + piece).buffer).toString('base64');
      await send({ type: 'tts-audio', rate: RATE, channels: 1, audio });
    }
    await send({ type: 'tts-stopped' });
  }

  it('images are small, run as nobody special, and can change nothing', async () => {
    const sizes: Record<string, number> = {};
    for (const service of ['api', 'worker', 'simulator']) {
      const [container] = await compose.containers(service);
      expect(container?.Config.User).toBe('1000:1000');
      expect(container?.HostConfig).toMatchObject({ ReadonlyRootfs: true, CapDrop: ['ALL'] });
      expect(container?.HostConfig.SecurityOpt).toContain('no-new-privileges:true');
      sizes[service] = Math.round(await compose.megabytes(`tavus-fleet/${service}:test`));
    }
    figures('images, MB', sizes);
    expect(sizes['api']).toBeLessThanOrEqual(250);
    expect(sizes['worker']).toBeLessThanOrEqual(700);
  });

  it('a worker has no capability at all, and Chromium’s renderers sit in namespaces of their own', async () => {
    const [worker] = await compose.containers('worker');
    if (!worker) throw new Error('no worker runs');
    expect(await compose.exec(worker, 'grep', '-E', '^(CapBnd|CapEff|NoNewPrivs|Seccomp):', '/proc/1/status')).toBe(
      'CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2',
    );
    // Two process ids: the second is counted in the sandbox's own namespace, which only the sandbox makes.
    const ids = await compose.exec(worker, 'sh', '-c', 'grep -h ^NSpid /proc/[0-9]*/status');
    expect(ids).toMatch(/^NSpid:\t\d+\t\d+$/m);
  });

  it('a user outside hears what was said, whole, and sees the avatar; nothing stays unended', async () => {
    const { conversation, user } = await meet('spoken');
    const fromMs = Date.now();
    const sent = chirpWalk({ rate: RATE, ms: 4_000, seed: 3 });
    await say(conversation, sent);
    await conversation.until('the end of speech', ({ type }) => type === 'bot-stopped-speaking', 30_000);
    await untilPictures(user, 3);
    const report = await user.report(AbortSignal.timeout(10_000));
    await conversation.post('stop');
    expect(await conversation.untilEnded()).toBe('stopped');
    await user.leave(AbortSignal.timeout(5_000));
    const judgement = judge(sent, between(report, fromMs, Date.now()));
    figures('from container to host', judgement);
    expectWhole(judgement);
    await eventually('the bill', async () => (await sim.state()).billing.unended.length === 0, 10_000);
  }, 120_000);

  it('a worker container killed: the conversation goes on or ends with a reason, and the replacement takes the next', async () => {
    const { conversation, user } = await meet('killed');
    const { workerId } = await conversation.view();
    const owner = await ownerOf(String(workerId));
    const killedMs = Date.now();
    await compose.kill(owner);
    await compose.run(['up', '--detach', '--wait', '--no-recreate', '--no-build', 'worker'], 120_000);
    const replacedMs = Date.now() - killedMs;
    expect((await compose.containers('worker')).filter(({ State }) => State.Running)).toHaveLength(2);
    await user.leave(AbortSignal.timeout(5_000)).catch(() => undefined); // its room may be gone with the bot

    const next = await caller.start({ output: { room: { url: 'http://simulator:8090/rooms/next' } } });
    await next.untilState('live', 60_000);
    await next.post('cancel');
    expect(await next.untilEnded()).toBe('canceled');

    await conversation.post('stop').catch(() => undefined); // over already is as good
    await eventually('the killed one’s bill', async () => (await sim.state()).billing.unended.length === 0, 60_000);
    figures('worker killed', { replacedMs, unendedForMs: Date.now() - killedMs });
  }, 240_000);

  it('knows its profile for those who watch, and the one for Tavus itself', async () => {
    const watched = await compose.run(['--profile', 'observability', 'config', '--services'], 30_000);
    expect(watched.split('\n')).toEqual(expect.arrayContaining(['api', 'worker', 'prometheus', 'grafana', 'traces']));
  });

  it('scales: three workers announce themselves', async () => {
    await compose.run(['up', '--detach', '--wait', '--no-build', '--scale', 'worker=3'], 120_000);
    const known = async (): Promise<number> => {
      const { workers } = (await (await caller.ask('GET', '/v1/workers')).json()) as { workers: unknown[] }; // the documented shape
      return workers.length;
    };
    await eventually('three workers', async () => (await known()) >= 3, 30_000);
    expect((await compose.containers('worker')).filter(({ State }) => State.Running)).toHaveLength(3);
  }, 180_000);

  async function ownerOf(workerId: string) {
    for (const container of await compose.containers('worker')) {
      const sessions = await compose.exec(
        container,
        'node',
        '-e',
        "fetch('http://127.0.0.1:8081/debug/sessions').then((r) => r.text()).then(console.log)",
      );
      if (sessions.includes(workerId)) return container;
    }
    throw new Error(`no container is ${workerId}`);
  }
});
