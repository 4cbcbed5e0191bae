import { systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openRoomOnFakePage } from './fake-page.ts';
import type { RoomEvent } from './port.ts';

const identity = { conversationId: 'c1', epoch: 1 };
const tavus = { url: 'https://tavus.daily.co/secret-room', userName: 'Pipecat' };
const signal = (): AbortSignal => AbortSignal.timeout(5_000);
/** A clock whose hours are seconds: deadlines and heartbeats come a hundred times sooner. */
const fast: Clock = {
  now: () => systemClock.now() * 100,
  after: (ms, callback) => systemClock.after(ms / 100, callback),
  every: (ms, callback) => systemClock.every(ms / 100, callback),
};

describe('DailyRoom on a played page', () => {
  let end: (() => Promise<void>) | undefined;
  afterEach(() => end?.());
  async function setup(clock?: Clock) {
    const made = await openRoomOnFakePage(identity, clock);
    end = made.close;
    const events: RoomEvent[] = [];
    made.room.on((event) => events.push(event));
    return { ...made, events };
  }

  it('sends every command with its identity, and the new one after a rise', async () => {
    const { room, page } = await setup();
    await room.join(tavus, signal());
    await room.raiseEpoch(7, signal());
    await room.send({}, signal());
    const commands = page.messages.flatMap((message) =>
      message.type === 'command' ? [[message.command.type, message.identity.epoch]] : [],
    );
    expect(commands).toEqual([
      ['join', 1],
      ['raise-epoch', 1],
      ['send', 7],
    ]);
  });

  it('brings PCM through unchanged and in order', async () => {
    const { room, page } = await setup();
    await room.join(tavus, signal());
    await room.publishStream(signal());
    const blocks: number[] = [];
    page.onAudio = (pcm) => blocks.push(pcm.readInt16LE(0));
    for (let index = 0; index < 50; index += 1)
      expect(room.write(new Uint8Array(Int16Array.of(index, 0).buffer))).toBe(true);
    await vi.waitUntil(() => blocks.length === 50);
    expect(blocks).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(() => room.write(new Uint8Array(3))).toThrow('whole 16-bit samples');
  });

  it('lets no room URL and no token out with a reason', async () => {
    const { room, page } = await setup();
    page.answer = (id) => ({
      type: 'answer',
      id,
      ok: false,
      code: 'room-join-failed',
      reason: `no such room ${tavus.url} with eyJhbGciOi.eyJyb29tIjoi.sig`,
    });
    await expect(room.join(tavus, signal())).rejects.toMatchObject({
      code: 'room-join-failed',
      message: 'no such room [url] with [token]',
    });
  });

  it('ignores and counts what is not of the protocol, and goes on', async () => {
    const { room, page, events } = await setup();
    for (const data of [
      'hello',
      '{"type":"event","event":{"type":"closed"}}',
      '{"type":"event","event":{"type":"lost","room":"tavus","code":"internal","reason":"x"}}',
      Buffer.alloc(3),
    ])
      page.sendRaw(data);
    page.emit({ type: 'video-arrived' });
    await vi.waitUntil(() => events.length > 0);
    expect(events).toEqual([{ type: 'video-arrived' }]);
    await room.join(tavus, signal());
  });

  it('ends with a page that sends too much', async () => {
    const { page, events } = await setup();
    for (let index = 0; index < 5_000; index += 1) page.sendRaw('x');
    await vi.waitUntil(() => events.length > 0, { timeout: 5_000 });
    expect(events).toMatchObject([{ type: 'closed', code: 'page-crashed' }]);
  });

  it('ends with a page that does not answer its heartbeat', async () => {
    const { room, page, events } = await setup(fast);
    page.answersHeartbeats = false;
    await vi.waitUntil(() => events.length > 0, { timeout: 3_000 });
    expect(events).toMatchObject([{ type: 'closed', code: 'page-silent' }]);
    await expect(room.join(tavus, signal())).rejects.toMatchObject({ code: 'page-silent' });
  });

  it('ends with a page whose main thread hangs, though its worker answers', async () => {
    const { page, events } = await setup(fast);
    page.answersHeartbeats = false;
    const answering = setInterval(() => page.sendRaw('{"type":"alive","mainAgeMs":60000,"droppedBytes":0}'), 5);
    await vi.waitUntil(() => events.length > 0, { timeout: 3_000 }).finally(() => clearInterval(answering));
    expect(events).toMatchObject([{ type: 'closed', code: 'page-silent' }]);
  });

  it('has the page undo a join that nobody waits for any more', async () => {
    const { room, page } = await setup();
    page.answer = () => undefined;
    const controller = new AbortController();
    const joining = Promise.allSettled([room.join(tavus, controller.signal)]);
    controller.abort(new Error('not wanted any more'));
    expect(await joining).toMatchObject([{ status: 'rejected', reason: { message: 'not wanted any more' } }]);
    await vi.waitUntil(() =>
      page.messages.some((message) => message.type === 'command' && message.command.type === 'cancel-join'),
    );
  });

  it('rejects what was pending when the page goes', async () => {
    const { room, page } = await setup(fast);
    page.answer = () => undefined;
    const joining = Promise.allSettled([room.join(tavus, signal())]);
    page.close();
    const [outcome] = await joining;
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'page-silent' } });
  });

  it('gives a command up at its deadline', async () => {
    const { room, page } = await setup(fast);
    page.answer = () => undefined;
    await expect(room.flush(signal())).rejects.toMatchObject({ code: 'deadline-exceeded' });
    await expect(room.join(tavus, signal())).rejects.toMatchObject({ code: 'room-join-failed' });
    const started = performance.now();
    await room.leave();
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
