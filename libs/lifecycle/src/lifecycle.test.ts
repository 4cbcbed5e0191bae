/* oxlint-disable vitest/valid-expect -- made before the clock passes, awaited after it */
import { EventEmitter } from 'node:events';
import { FleetError } from '@tavus-fleet/contracts';
import { describe, expect, test } from 'vitest';
import { FakeClock } from './fake-clock.ts';
import { firstOf } from './first-of.ts';
import { Latch } from './latch.ts';
import { onShutdownSignal } from './shutdown-signal.ts';
import { retry } from './retry.ts';
import { together } from './together.ts';
import { withDeadline } from './deadline.ts';

const never = new Promise<never>(() => undefined);

describe('withDeadline', () => {
  test('rejects at the deadline, aborts the work and leaves no timer', async () => {
    const clock = new FakeClock();
    let signal: AbortSignal | undefined;
    const outcome = expect(
      withDeadline({ ms: 100, what: 'It', clock }, (own) => ((signal = own), never)),
    ).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await clock.pass(100);
    await outcome;
    expect(signal?.aborted).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('passes on the caller’s abort with its reason, and a result without a trace', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const outcome = expect(
      withDeadline({ signal: stop.signal, ms: 100, what: 'It', clock }, () => never),
    ).rejects.toThrow('enough');
    stop.abort(new Error('enough'));
    await outcome;
    expect(await withDeadline({ ms: 100, what: 'It', clock }, async () => 7)).toBe(7);
    expect(clock.pending).toBe(0);
  });

  test.each(['in the turn of the abort', 'after it'] as const)('what is answered %s goes to `late`', async (when) => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const answer = Promise.withResolvers<number>();
    const late: number[] = [];
    const options = { signal: stop.signal, ms: 100, what: 'It', clock, late: (one: number) => void late.push(one) };
    const outcome = expect(withDeadline(options, async () => answer.promise)).rejects.toThrow('enough');
    if (when === 'in the turn of the abort') answer.resolve(7);
    stop.abort(new Error('enough'));
    await outcome;
    answer.resolve(7);
    await clock.pass(1);
    expect(late).toEqual([7]);
    expect(await withDeadline({ ...options, signal: undefined }, async () => 8)).toBe(8);
    expect(late).toEqual([7]);
  });
});

describe('retry', () => {
  test.each([
    { code: 'redis-unavailable', tries: 3 },
    { code: 'tavus-auth', tries: 1 },
  ] as const)('$code is tried $tries times', async ({ code, tries }) => {
    const clock = new FakeClock();
    let count = 0;
    const outcome = expect(
      retry({ attempts: 3, firstMs: 100, maxMs: 1_000 }, { clock }, async () => {
        count += 1;
        throw new FleetError(code, 'no');
      }),
    ).rejects.toMatchObject({ code });
    await clock.pass(5_000);
    await outcome;
    expect(count).toBe(tries);
  });

  test('waits as long as the provider said, and stops waiting when aborted', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    let count = 0;
    const outcome = expect(
      retry({ attempts: 9, firstMs: 1, maxMs: 1 }, { clock, signal: stop.signal }, async () => {
        count += 1;
        throw new FleetError('tavus-rate-limit', 'later', { retryAfterMs: 5_000 });
      }),
    ).rejects.toThrow('enough');
    await clock.pass(4_999);
    expect(count).toBe(1);
    await clock.pass(1);
    expect(count).toBe(2);
    stop.abort(new Error('enough'));
    await outcome;
    expect(clock.pending).toBe(0);
  });
});

test('together tells the others to stop when one fails, waits for them, and rejects with the first failure', async () => {
  const log: string[] = [];
  const waits = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => signal.addEventListener('abort', () => (log.push('stopped'), resolve())));
  await expect(
    together(new AbortController().signal, [waits, () => Promise.reject(new Error('first'))]),
  ).rejects.toThrow('first');
  expect(log).toEqual(['stopped']);
});

test('a latch keeps its first value; firstOf takes the first and silences late losers', async () => {
  const latch = new Latch<string>();
  expect([latch.set('a'), latch.set('b')]).toEqual([true, false]);
  expect(await firstOf([latch.promise, Promise.reject(new Error('late'))])).toBe('a');
  expect(latch.value).toBe('a');
});

describe('onShutdownSignal', () => {
  test.each([
    {
      when: 'one Ctrl-C that arrives twice',
      signals: [
        ['SIGINT', 0],
        ['SIGINT', 3],
      ],
      said: ['stop SIGINT'],
    },
    {
      when: 'a second one soon after a second',
      signals: [
        ['SIGTERM', 0],
        ['SIGINT', 999],
        ['SIGINT', 1],
      ],
      said: ['stop SIGTERM', 'at once SIGINT'],
    },
  ] as const)('$when → $said', async ({ signals, said }) => {
    const clock = new FakeClock();
    const source = new EventEmitter();
    const heard: string[] = [];
    const off = onShutdownSignal(
      source,
      { stop: (signal) => heard.push(`stop ${signal}`), atOnce: (signal) => heard.push(`at once ${signal}`) },
      clock,
    );
    for (const [signal, afterMs] of signals) {
      await clock.pass(afterMs);
      source.emit(signal, signal);
    }
    expect(heard).toEqual(said);
    off();
    expect(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM')).toBe(0);
  });
});
