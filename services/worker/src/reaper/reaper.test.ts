import { FleetError } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { parseTavusName, tavusName, type Audit, type LedgerRow, type Whereabouts } from '@tavus-fleet/redis';
import { expect, test } from 'vitest';
import { Reaper, type ReaperPort } from './reaper.ts';

/** Tavus, ledger and records in memory; suspicions as Redis keeps them. */
class World {
  readonly clock = new FakeClock(0);
  readonly active = new Map<string, string>();
  readonly rows: LedgerRow[] = [];
  readonly places = new Map<string, Whereabouts>();
  readonly calls: string[] = [];
  readonly errors: string[] = [];
  audit: Audit | undefined;
  knownForMs = 3_600_000;
  listFails = false;
  endFails = false;
  lists = 0;
  readonly #since = new Map<string, number>();
  #turnUntil = 0;

  reaper(): Reaper {
    const log = {
      info: () => undefined,
      warn: () => undefined,
      error: (_: object, message: string) => void this.errors.push(message),
    };
    return new Reaper(this.#port(), { clock: this.clock, log });
  }

  run(id: string, of: { conversationId: string; epoch?: number }): void {
    this.active.set(id, tavusName({ base: '', fleetId: 'f', epoch: 1, attempt: 1, ...of }));
  }

  #port(): ReaperPort {
    const now = (): number => this.clock.now();
    return {
      turn: async (soon) => {
        if (!soon && now() < this.#turnUntil) return false;
        this.#turnUntil = now() + 30_000;
        return true;
      },
      known: async () => ({ forMs: this.knownForMs, nowMs: now() }),
      active: async () => {
        this.lists += 1;
        if (this.listFails) throw new FleetError('tavus-unavailable', 'down');
        return [...this.active].flatMap(([id, name]) => {
          const parsed = parseTavusName(name);
          return parsed ? [{ id, name, parsed }] : [];
        });
      },
      rows: async () => [...this.rows],
      conversations: async () => this.places,
      suspect: async (ids, nowMs) => {
        for (const id of this.#since.keys()) if (!ids.includes(id)) this.#since.delete(id);
        return ids.map((id) => {
          const since = this.#since.get(id) ?? nowMs;
          this.#since.set(id, since);
          return since;
        });
      },
      end: async (id, epoch) => {
        this.calls.push(`end ${id} as ${epoch}`);
        if (this.endFails) throw new FleetError('tavus-unavailable', 'down');
        this.active.delete(id);
      },
      close: async (name) => void this.calls.push(`close ${name}`),
      note: async (row) => void this.calls.push(`note ${row.tavusConversationId}`),
      saveAudit: async (audit) => {
        this.audit = audit;
      },
    };
  }
}

test('what nobody explains is ended at the second look, half a minute after the first, and not before', async () => {
  const world = new World();
  world.run('t1', { conversationId: 'gone', epoch: 4 });
  const reaper = world.reaper();
  reaper.start();
  await world.clock.pass(29_000);
  expect(world.calls).toEqual([]);
  expect(world.audit).toMatchObject({ active: 1, unended: 1 });
  await world.clock.pass(2_000);
  expect(world.calls).toEqual(['end t1 as 4', 'close [tf:f:gone:4.1]']);
  await world.clock.pass(60_000);
  expect(world.audit).toMatchObject({ active: 0, unended: 0 });
  expect(world.calls).toHaveLength(2);
  await reaper.close();
  expect(world.clock.pending).toBe(0);
});

test('what was explained in between starts anew', async () => {
  const world = new World();
  world.run('t1', { conversationId: 'c1' });
  const reaper = world.reaper();
  await reaper.pass();
  world.places.set('c1', { state: 'starting', epoch: 1, leased: true });
  await world.clock.pass(20_000);
  await reaper.pass(true);
  world.places.delete('c1');
  await world.clock.pass(20_000);
  await reaper.pass(true);
  expect(world.calls).toEqual([]);
  await world.clock.pass(31_000); // the second look comes by itself
  expect(world.calls).toContain('end t1 as 1');
  await reaper.close();
});

test('after Redis lost data it waits until owners had their time, and counts what it sees meanwhile', async () => {
  const world = new World();
  world.run('t1', { conversationId: 'gone' });
  world.knownForMs = 0;
  const reaper = world.reaper();
  reaper.start();
  await world.clock.pass(59_000);
  expect(world.calls).toEqual([]);
  expect(world.audit?.unended).toBe(1);
  world.knownForMs = 60_000;
  await world.clock.pass(31_000);
  expect(world.calls).toContain('end t1 as 1');
  await reaper.close();
});

test('an end that fails keeps its row, is told, counted, and tried again; without a list only what is sure is done', async () => {
  const world = new World();
  const of = { conversationId: 'c1', epoch: 2, attempt: 1 };
  const name = tavusName({ base: '', fleetId: 'f', ...of });
  world.rows.push({ ...of, name, workerId: 'w1', intendedAt: 0, tavusConversationId: 't1' });
  world.places.set('c1', { state: 'ended', epoch: 2, leased: false });
  world.run('t2', { conversationId: 'gone' });
  world.endFails = true;
  const reaper = world.reaper();
  await reaper.pass();
  expect(world.calls).toEqual(['end t1 as 2']);
  expect(world.errors).toHaveLength(1);
  expect(world.audit?.unended).toBe(2);
  world.endFails = false;
  world.listFails = true;
  await world.clock.pass(30_000);
  await reaper.pass(true);
  expect(world.calls.slice(1)).toEqual(['end t1 as 2', `close ${name}`]);
  expect(world.audit?.unended).toBe(2); // nothing was learnt
  await reaper.close();
});

test('asks for its turn often and lists seldom', async () => {
  const world = new World();
  const reaper = world.reaper();
  reaper.start();
  await world.clock.pass(300_000);
  expect(world.lists).toBeLessThanOrEqual(11);
  expect(world.lists).toBeGreaterThanOrEqual(10);
  await reaper.close();
  reaper.start();
  reaper.soon();
  await reaper.close();
  expect(world.clock.pending).toBe(0);
});
