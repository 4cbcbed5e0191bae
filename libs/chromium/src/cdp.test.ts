import { PassThrough } from 'node:stream';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { describe, expect, it } from 'vitest';
import { Cdp, type CdpEvent } from './cdp.ts';

function setup() {
  const write = new PassThrough();
  const read = new PassThrough();
  const clock = new FakeClock();
  const errors: unknown[] = [];
  const cdp = new Cdp({ write, read }, { clock, onError: (error) => errors.push(error) });
  const sent = (): string[] =>
    String(write.read() ?? '')
      .split('\0')
      .slice(0, -1);
  return { cdp, read, clock, errors, sent };
}

describe('Cdp', () => {
  it('puts together messages that arrive in pieces, also inside a character', async () => {
    const { cdp, read, sent } = setup();
    const answer = cdp.send('A.b', { x: 1 }, { sessionId: 'S' });
    expect(sent()).toEqual(['{"id":1,"method":"A.b","params":{"x":1},"sessionId":"S"}']);
    const bytes = Buffer.from('{"id":1,"result":{"text":"grüß"}}\0{"method":"E"');
    for (const byte of bytes) read.write(Buffer.of(byte));
    expect(await answer).toEqual({ text: 'grüß' });
    const event = new Promise<CdpEvent>((resolve) => void cdp.on(resolve));
    read.write(',"params":{"y":2}}\0');
    expect(await event).toEqual({ method: 'E', sessionId: undefined, params: { y: 2 } });
  });

  it('rejects with what Chromium refused', async () => {
    const { cdp, read } = setup();
    const answer = cdp.send('No.such');
    read.write('{"id":1,"error":{"code":-32601,"message":"not found"}}\0');
    await expect(answer).rejects.toMatchObject({ code: 'browser-failed', message: 'No.such: not found' });
  });

  it('gives up a command at its deadline and clears its timer', async () => {
    const { cdp, clock } = setup();
    const answer = cdp.send('Slow', {}, { timeoutMs: 50 });
    const [outcome] = await Promise.all([Promise.allSettled([answer]), clock.pass(50)]);
    expect(outcome[0]).toMatchObject({ status: 'rejected', reason: { code: 'deadline-exceeded' } });
    expect(clock.pending).toBe(0);
  });

  it('rejects with the reason of an aborted signal', async () => {
    const { cdp, clock } = setup();
    const controller = new AbortController();
    const answer = cdp.send('Slow', {}, { signal: controller.signal });
    controller.abort(new Error('not needed any more'));
    await expect(answer).rejects.toThrow('not needed any more');
    expect(clock.pending).toBe(0);
  });

  it.each([
    { when: 'the pipe closes', act: (read: PassThrough) => void read.destroy() },
    { when: 'something else than the protocol arrives', act: (read: PassThrough) => void read.write('hello\0') },
  ])('ends everything when $when', async ({ act }) => {
    const { cdp, read, clock } = setup();
    const answer = cdp.send('A');
    act(read);
    await expect(answer).rejects.toMatchObject({ code: 'browser-failed' });
    await expect(cdp.send('B')).rejects.toMatchObject({ code: 'browser-failed' });
    expect(clock.pending).toBe(0);
  });
});
