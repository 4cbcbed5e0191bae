// A cancel is acknowledged at every await of a start: before the call leaves, while it is under way, and when it has been answered and
// nobody has read the answer yet. Which calls there are is not written here: an undisturbed start is listened to first. After the
// acknowledgement nothing may stay alive: no bill at Tavus, page, lease, slot, row or session.
import { randomUUID } from 'node:crypto';
import { isFinal } from '@tavus-fleet/contracts';
import { parseTavusName } from '@tavus-fleet/redis';
import { redisFixture } from '@tavus-fleet/testkit';
import { expect, it } from 'vitest';
import { figures } from '../e2e/fixtures/judge.ts';
import { eventually } from '../e2e/fixtures/users.ts';
import { FleetWorld } from './fixtures/fleet-world.ts';
import { Interleaving, sides, type Side } from './fixtures/interleaving.ts';
import { report, today } from './fixtures/report.ts';

const fixture = redisFixture({ allow: /./ }); // conversations run here: what they leave is the other tests' business
const goal = process.env['FULL'] ? 1_000 : 60;
const AT_ONCE = 8;
/** Two lease renewals (the safety net behind the mark in the stream) and a busy machine. */
const GONE_MS = 5_000;
const room = { output: { room: { url: 'https://acme.daily.co/room' } } };
const variants: Readonly<Record<string, object>> = {
  'avatar in the user room': room,
  echo: { ...room, personaId: 'pipecat0' },
  direct: { output: { direct: true } },
  'audio stream': { output: { streams: { audio: true } } },
};
type Placement = { readonly variant: string; readonly at: string; readonly side: Side };
type Outcome = { readonly goneMs: number; readonly lateCreates: number };

class CancelWorld implements AsyncDisposable {
  readonly fleet: FleetWorld;
  readonly #between: Interleaving;

  private constructor(fleet: FleetWorld, between: Interleaving) {
    this.fleet = fleet;
    this.#between = between;
  }

  static async start(): Promise<CancelWorld> {
    const between = new Interleaving();
    const fleet = await FleetWorld.start({
      redisUrl: fixture.url,
      keyPrefix: `${fixture.keyPrefix}-${randomUUID().slice(0, 8)}`,
      redis: fixture.connect(),
      prepare: (parts) => between.parts(parts),
      prepareRoom: (each) => between.room(each),
    });
    for (const { worker } of fleet.workers) between.watch(worker);
    fleet.tavus.change({ createLatencyMs: 5 }); // so that there is a time in which a create is under way
    return new CancelWorld(fleet, between);
  }

  /** The calls of one start to `live`, in their order. */
  async listen(variant: string): Promise<string[]> {
    const conversationId = `listen-${randomUUID()}`;
    const calls: string[] = [];
    this.#between.meet(conversationId, (at, call) => {
      calls.push(at);
      return call();
    });
    await this.fleet.start({ conversationId, ...variants[variant] });
    const state = async (): Promise<string> => (await this.fleet.view(conversationId)).state;
    await eventually('an undisturbed start is live', async () => (await state()) === 'live', 10_000);
    const started = [...calls];
    await this.fleet.verb(conversationId, 'cancel');
    await this.#gone(conversationId);
    return started;
  }

  /** Undefined when the start never came to that call. */
  async cancel({ variant, at, side }: Placement): Promise<Outcome | undefined> {
    const conversationId = `cancel-${randomUUID()}`;
    const acknowledged = Promise.withResolvers<number>();
    let begun = false;
    let creates = 0;
    let createsAtAck = 0;
    const cancel = async (): Promise<void> => {
      const status = await this.fleet.verb(conversationId, 'cancel');
      createsAtAck = creates;
      if (status === 202) acknowledged.resolve(Date.now());
      else acknowledged.reject(new Error(`cancel answered ${status} at ${side} ${at}`));
    };
    this.#between.meet(conversationId, async (now, call) => {
      if (now.startsWith('tavus.createConversation')) creates += 1;
      if (begun || now !== at) return call();
      begun = true;
      if (side === 'before') await cancel();
      const cancelling = side === 'during' ? cancel() : undefined;
      try {
        return await call();
      } finally {
        await (side === 'after' ? cancel() : cancelling);
      }
    });
    await this.fleet.start({ conversationId, ...variants[variant] });
    const state = async (): Promise<string> => (await this.fleet.view(conversationId)).state;
    await eventually('the start has come that far', async () => begun || (await state()) === 'live', 10_000);
    if (!begun) {
      await this.fleet.verb(conversationId, 'cancel');
      await this.#gone(conversationId);
      return undefined;
    }
    const ackAt = await acknowledged.promise;
    await this.#gone(conversationId);
    const { endReason } = await this.fleet.view(conversationId);
    if (endReason !== 'canceled') throw new Error(`ended as ${endReason} at ${side} ${at}`);
    return { goneMs: Date.now() - ackAt, lateCreates: creates - createsAtAck };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fleet[Symbol.asyncDispose]();
  }

  /** Resolves when nothing of it is alive. */
  async #gone(id: string): Promise<void> {
    const { records, redis, keys, workers, ledger, tavus } = this.fleet;
    const isOver = async (): Promise<boolean> => isFinal((await records.get(id))?.state ?? 'queued');
    const alive = async (): Promise<string[]> => {
      if (!(await isOver())) return ['record'];
      const rows = (await ledger.open()).filter(({ conversationId }) => conversationId === id);
      const held = workers.flatMap(({ worker }) => worker.sessions.list()).filter((one) => one.conversationId === id);
      const pages = workers
        .flatMap(({ rooms }) => rooms.opened)
        .filter(({ identity, isClosed }) => identity.conversationId === id && !isClosed);
      const reserved = (await redis.zrange(keys.fleet.slots, '0', '-1')).filter((member) => member.includes(id));
      const { conversations, billing } = tavus.state();
      const bills = conversations.filter(
        (one) => billing.unended.includes(one.id) && parseTavusName(one.name)?.conversationId === id,
      );
      return [
        ...((await redis.exists(keys.conversation(id).lease)) === 1 ? ['lease'] : []),
        ...((await redis.exists(keys.conversation(id).secrets)) === 1 ? ['secrets'] : []),
        ...rows.map(() => 'row'),
        ...held.map(() => 'session'),
        ...pages.map(() => 'page'),
        ...reserved.map(() => 'slot'),
        ...bills.map(() => 'bill'),
      ];
    };
    let last: string[] = [];
    await eventually('nothing is alive', async () => (last = await alive()).length === 0, GONE_MS).catch(
      (cause: unknown) => {
        throw new Error(`${id}: still alive: ${last.join(', ')}`, { cause });
      },
    );
  }
}

it(`a cancel at every await of a start, ${goal} times at least: nothing is alive afterwards`, async () => {
  await using world = await CancelWorld.start();
  const placements: Placement[] = [];
  const names = process.env['FULL'] ? Object.keys(variants) : Object.keys(variants).slice(0, 1);
  let calls = 0;
  for (const variant of names) {
    const started = await world.listen(variant);
    calls = Math.max(calls, started.length);
    placements.push(...started.flatMap((at) => sides.map((side) => ({ variant, at, side }))));
  }
  expect(placements.length).toBeGreaterThanOrEqual(Math.min(goal, 60));
  const waiting = Array.from({ length: Math.ceil(goal / placements.length) }, () => placements).flat();
  const total = waiting.length;
  const outcomes: (Outcome | undefined)[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) outcomes.push(await world.cancel(next));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const placed = outcomes.filter((one) => one !== undefined);
  const goneMs = placed.map((one) => one.goneMs).toSorted((a, b) => a - b);
  const at = (share: number): number => goneMs[Math.min(goneMs.length - 1, Math.floor(goneMs.length * share))] ?? NaN;
  const late = placed.reduce((sum, { lateCreates }) => sum + lateCreates, 0);
  figures('cancel anywhere', { total, placed: placed.length, calls, p50: at(0.5), p95: at(0.95), max: at(1), late });
  expect(placed.length).toBeGreaterThanOrEqual(total * 0.9);
  expect(await world.fleet.open()).toEqual([]);
  expect(world.fleet.judge().stale).toEqual([]);
  report('cancel-anywhere', 'A cancel at every await of a start', [
    `${today()}, \`FULL=1 npx vitest run --project faults test/faults/cancel-anywhere.test.ts\`: real Redis, BullMQ, api, worker, Tavus' REST side of the`,
    `simulator; rooms without a browser. ${placed.length} cancels in ${names.length} kinds of conversation (${names.join(', ')}): at each of up to ${calls} calls`,
    'outward of a start, before it left, while it was under way, and when its answer was there and not yet read.',
    '',
    'Alive afterwards (bill at Tavus, page, lease, provider slot, ledger row, session, secrets): 0. Ended otherwise than as `canceled`: 0. Calls with an old epoch: 0.',
    `From the acknowledgement to nothing alive: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, longest ${at(1)} ms (looked at every 50 ms).`,
    `Creates that were sent to Tavus after the acknowledgement, and ended: ${late}.`,
  ]);
}, 600_000);
