import type { OutboundEvent } from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { expect, test } from 'vitest';
import { RepeatedEvents } from './repeated-events.ts';

const malformed = (field: string): OutboundEvent => ({
  type: 'error',
  data: { code: 'malformed-frame', category: 'invalid-request', fatal: false, message: `${field} is wrong`, field },
});
const dropped = (why: string): OutboundEvent => ({ type: 'frames-dropped', data: { count: 1, ms: 20, why } });
const message = (n: number): OutboundEvent => ({ type: 'message', data: { fromId: 'p', message: n } });

function setup() {
  const clock = new FakeClock();
  const told: OutboundEvent[] = [];
  return { clock, told, events: new RepeatedEvents((event) => told.push(event), clock) };
}
const count = (event: OutboundEvent): number => (event.type === 'error' ? (event.data.count ?? 1) : 0);

test('ten thousand of a kind are the first twenty and one with the number of the others', async () => {
  const { clock, told, events } = setup();
  for (let n = 0; n < 10_000; n += 1) events.take(malformed(`f${n}`));
  expect(told).toEqual(Array.from({ length: 20 }, (_, n) => malformed(`f${n}`)));
  await clock.pass(1_000);
  expect(told.slice(20)).toMatchObject([{ data: { field: 'f20', count: 9_980, message: 'f20 is wrong' } }]);
  await clock.pass(60_000);
  expect(told).toHaveLength(21);
  expect(clock.pending).toBe(0);
});

test('an hour of a flood is some hundred events, and none is uncounted', async () => {
  const { clock, told, events } = setup();
  for (let second = 0; second < 3_600; second += 1) {
    for (let n = 0; n < 3; n += 1) events.take(malformed('type'));
    await clock.pass(1_000);
  }
  events.flush();
  expect(told.length).toBeLessThan(800);
  expect(told.reduce((sum, event) => sum + count(event), 0)).toBe(3 * 3_600);
});

test('kinds do not hide each other, and other events keep their moment', async () => {
  const { clock, told, events } = setup();
  for (let n = 0; n < 22; n += 1) events.take(dropped('trimmed'));
  events.take(malformed('a'));
  events.take(dropped('after-end'));
  events.take({ type: 'bot-started-speaking', data: { source: 'audio' } });
  events.take({ type: 'error', data: { code: 'malformed-frame', category: 'invalid-request', fatal: true } });
  expect(told.slice(20).map(({ type }) => type)).toEqual(['error', 'frames-dropped', 'bot-started-speaking', 'error']);
  await clock.pass(1_000);
  expect(told.at(-1)).toEqual({ type: 'frames-dropped', data: { count: 2, ms: 40, why: 'trimmed' } });
  for (let n = 0; n < 3; n += 1) events.take(dropped('trimmed'));
  events.flush();
  expect(told.at(-1)).toEqual({ type: 'frames-dropped', data: { count: 3, ms: 60, why: 'trimmed' } });
  expect(clock.pending).toBe(0);
});

test('a stranger who floods the call with messages is heard a hundred times, then ten times a second; the rest is counted', async () => {
  const { clock, told, events } = setup();
  for (let n = 0; n < 1_000; n += 1) events.take(message(n));
  expect(told.filter(({ type }) => type === 'message')).toHaveLength(100);
  await clock.pass(1_000);
  for (let n = 0; n < 1_000; n += 1) events.take(message(n));
  expect(told.filter(({ type }) => type === 'message')).toHaveLength(110);
  events.flush();
  const lost = told.reduce((sum, event) => sum + (event.type === 'frames-dropped' ? event.data.count : 0), 0);
  expect(lost).toBe(1_890);
});
