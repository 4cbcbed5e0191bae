import { FakeClock } from '@tavus-fleet/lifecycle';
import { beforeEach, describe, expect, it } from 'vitest';
import { HEARTBEAT_MS, eventStream } from './event-stream.ts';
import { World } from './test-world.ts';

const id = 'c1';
let world: World;
let clock: FakeClock;
let gone: AbortController;
let over: boolean;

beforeEach(() => {
  world = new World();
  clock = new FakeClock();
  gone = new AbortController();
  over = false;
});

const open = (after = '0'): AsyncGenerator<string> =>
  eventStream({
    events: world.deps().events,
    conversationId: id,
    after,
    isOver: async () => over,
    draining: world.draining.signal,
    gone: gone.signal,
    clock,
  });
const next = async (stream: AsyncGenerator<string>): Promise<string | undefined> => {
  const step = await stream.next();
  return step.done ? undefined : step.value;
};
const speak = (): string => world.tell(id, { type: 'bot-started-speaking', data: { source: 'audio' } });
/** Nothing is left behind: no timer, no watcher. */
const left = (): [number, number] => [clock.pending, world.watchers.size];

describe('eventStream', () => {
  it('tells what was and what comes, each once, in order, and ends after `ended`', async () => {
    world.tell(id, { type: 'state', data: { state: 'queued' } });
    const stream = open();
    expect(await next(stream)).toBe('retry: 2000\n\n');
    expect(await next(stream)).toBe(
      'id: 1-0\nevent: state\ndata: {"id":"1-0","type":"state","at":"2027-01-15T08:00:00.000Z","epoch":1,"data":{"state":"queued"}}\n\n',
    );
    const waiting = next(stream);
    await clock.pass(1);
    speak();
    expect(await waiting).toContain('id: 2-0\nevent: bot-started-speaking\n');
    world.tell(id, { type: 'ended', data: { endReason: 'stopped' } });
    speak();
    expect(await next(stream)).toContain('id: 3-0\nevent: ended\n');
    expect(await next(stream)).toBeUndefined();
    expect(left()).toEqual([0, 0]);
  });

  it('resumes after an id', async () => {
    for (let i = 0; i < 250; i += 1) speak();
    const stream = open('120-0');
    await next(stream);
    for (let i = 121; i <= 250; i += 1) expect(await next(stream)).toContain(`id: ${i}-0\n`);
    await stream.return(undefined);
  });

  it('reads no further than its client: a slow one holds one page, and misses nothing', async () => {
    const stream = open();
    await next(stream);
    for (let i = 0; i < 300; i += 1) speak();
    let reads = 0;
    const { events } = world.deps();
    const counted = eventStream({
      events: {
        ...events,
        read: (...args) => {
          reads += 1;
          return events.read(...args);
        },
      },
      conversationId: id,
      after: '0',
      isOver: async () => false,
      draining: world.draining.signal,
      gone: gone.signal,
      clock,
    });
    for (let i = 0; i <= 100; i += 1) await next(counted);
    expect(reads).toBe(1);
    for (let i = 101; i <= 300; i += 1) expect(await next(counted)).toContain(`id: ${i}-0\n`);
    expect(reads).toBe(3);
    await counted.return(undefined);
    await stream.return(undefined);
  });

  it('sends heartbeats while nothing happens', async () => {
    const stream = open();
    await next(stream);
    for (let i = 0; i < 3; i += 1) {
      const waiting = next(stream);
      await clock.pass(HEARTBEAT_MS);
      expect(await waiting).toBe(': heartbeat\n\n');
    }
    gone.abort();
    expect(await next(stream)).toBeUndefined();
    expect(left()).toEqual([0, 0]);
  });

  it('ends with a hint to come back when the process drains', async () => {
    const stream = open();
    await next(stream);
    const waiting = next(stream);
    await clock.pass(1);
    world.draining.abort();
    expect(await waiting).toBe('retry: 500\n: draining, come back\n\n');
    expect(await next(stream)).toBeUndefined();
    expect(left()).toEqual([0, 0]);
  });

  it('ends when the conversation is over though no `ended` was written', async () => {
    const stream = open();
    await next(stream);
    const waiting = next(stream);
    await clock.pass(1);
    over = true;
    await clock.pass(HEARTBEAT_MS);
    expect(await waiting).toBeUndefined();
    expect(left()).toEqual([0, 0]);
  });

  it('wakes up and lets everything go when the client goes while it waits', async () => {
    const stream = open();
    await next(stream);
    const waiting = next(stream);
    await clock.pass(1);
    expect(left()).toEqual([1, 1]);
    gone.abort();
    expect(await waiting).toBeUndefined();
    expect(left()).toEqual([0, 0]);
  });
});
