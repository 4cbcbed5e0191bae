import {
  FleetError,
  StartRequest,
  type EventEnvelope,
  type InboundFrame,
  type OutboundEvent,
} from '@tavus-fleet/contracts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FrameSender, Transport } from './transport.ts';

/** A fleet with a worker that takes every conversation, plays what it gets when told so, and obeys. */
export type TransportWorld = {
  readonly transport: Transport;
  /** Every connection of the transport breaks, without a goodbye. */
  cut(): void;
  /** What the worker found in the conversation's frames stream. */
  frames(conversationId: string): readonly InboundFrame[];
  /** The worker plays what it has, or keeps it. */
  playing(on: boolean): Promise<void>;
  tell(conversationId: string, event: OutboundEvent): Promise<void>;
  /** The worker adds so many blocks of sound to the conversation's audio stream. Undefined: this way has no media. */
  readonly addAudio: ((conversationId: string, count: number) => Promise<void>) | undefined;
  /** Resolves when it holds; fails the test when it does not within some seconds. */
  until(condition: () => boolean): Promise<void>;
  end(): Promise<void>;
};

const tone = (piece: number): InboundFrame => ({
  type: 'tts-audio',
  rate: 24_000,
  channels: 1,
  audio: new Uint8Array(960).fill(piece % 251),
});
/** A frame in a few characters: a list of hundreds that is not as expected must still be told within a second. */
const brief = (frame: InboundFrame): string =>
  frame.type === 'tts-audio' ? `audio ${frame.audio[0]} x ${frame.audio.byteLength}` : JSON.stringify(frame);
const told = (count: number): OutboundEvent => ({ type: 'message', data: { message: { count } } });
const soon = (ms = 8_000): AbortSignal => AbortSignal.timeout(ms);

/** What every way to a fleet promises, run on each. */
export function transportContract(name: string, make: () => Promise<TransportWorld>): void {
  describe(`${name} is a Transport`, () => {
    let world: TransportWorld;
    const senders: FrameSender[] = [];
    const started: string[] = [];

    beforeEach(async () => {
      world = await make();
    });
    afterEach(async () => {
      for (const sender of senders.splice(0)) sender.close();
      for (const id of started.splice(0)) {
        await world.transport.ask(id, 'cancel', undefined, soon());
        await eventsUntil(id, ({ type }) => type === 'ended');
      }
      await world.transport.close();
      await world.end();
    });

    const start = async (): Promise<string> => {
      const request = StartRequest.parse({ replicaId: 'r1' });
      const { conversationId } = await world.transport.start(request, crypto.randomUUID(), soon());
      started.push(conversationId);
      return conversationId;
    };
    const sender = (id: string): FrameSender => {
      const made = world.transport.frames(id);
      senders.push(made);
      return made;
    };
    /** Events until one fits; that one is the last. */
    const eventsUntil = async (
      id: string,
      fits: (event: EventEnvelope) => boolean,
      after = '0',
    ): Promise<EventEnvelope[]> => {
      const seen: EventEnvelope[] = [];
      for await (const event of world.transport.events(id, after, soon())) {
        seen.push(event);
        if (fits(event)) return seen;
      }
      return seen;
    };
    const live = async (): Promise<string> => {
      const id = await start();
      await eventsUntil(id, (event) => event.type === 'state' && event.data.state === 'live');
      return id;
    };

    it('starts a conversation, tells of it from the beginning, and shows it', async () => {
      const id = await start();
      const states = (await eventsUntil(id, (event) => event.type === 'state' && event.data.state === 'live')).flatMap(
        (event) => (event.type === 'state' ? [event.data.state] : []),
      );
      expect(states).toEqual(['queued', 'starting', 'live']);
      expect(await world.transport.view(id, soon())).toMatchObject({
        conversationId: id,
        state: 'live',
        replicaId: 'r1',
      });
      await expect(world.transport.view('never-was', soon())).rejects.toMatchObject({ code: 'not-found' });
    });

    it('takes an id that the caller chose once, and says so the second time', async () => {
      const conversationId = `own-${crypto.randomUUID()}`;
      const request = StartRequest.parse({ replicaId: 'r1', conversationId });
      expect(await world.transport.start(request, crypto.randomUUID(), soon())).toMatchObject({ conversationId });
      started.push(conversationId);
      await eventsUntil(conversationId, ({ type }) => type === 'state');
      await expect(world.transport.start(request, crypto.randomUUID(), soon())).rejects.toMatchObject({
        code: 'conversation-id-used',
      });
    });

    it('brings frames in order, each once, though its connections are cut again and again', async () => {
      const id = await live();
      const frames = sender(id);
      const sent: InboundFrame[] = [{ type: 'tts-started', context: 'c1' }];
      for (let piece = 0; piece < 200; piece += 1) sent.push(tone(piece));
      sent.push({ type: 'tts-stopped', context: 'c1' }, { type: 'message', message: { piece: 'last' } });
      const accepted: number[] = [];
      const sending = sent.map(async (frame, at) => {
        await frames.append(frame);
        if (accepted.push(at) % 45 === 0) world.cut();
      });
      world.cut();
      await Promise.all(sending);
      expect(accepted).toEqual(sent.map((_, at) => at));
      await world.until(() => world.frames(id).length >= sent.length);
      expect(world.frames(id).map(brief)).toEqual(sent.map(brief));
    });

    it('refuses a malformed frame by its field, and the others go on', async () => {
      const frames = sender(await live());
      const before = frames.append(tone(1));
      const wrong = frames.append({ type: 'settings-update', settings: { extra: { maxVideoFps: 1_000 } } });
      const after = frames.append(tone(2));
      await expect(wrong).rejects.toMatchObject({
        code: 'malformed-frame',
        retry: false,
        field: expect.stringContaining('maxVideoFps'),
      });
      await Promise.all([before, after]);
    });

    it('withdraws what has not left, and keeps the order of the rest', async () => {
      const id = await live();
      const frames = sender(id);
      const stop = new AbortController();
      const appending = Array.from({ length: 300 }, (_, piece) => frames.append(tone(piece), stop.signal));
      stop.abort(new Error('changed my mind'));
      const outcomes = await Promise.allSettled(appending);
      await frames.append({ type: 'interruption' });
      const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length;
      expect(accepted).toBeLessThan(300);
      await world.until(() => world.frames(id).at(-1)?.type === 'interruption');
      expect(world.frames(id)).toHaveLength(accepted + 1);
    });

    it('tells how much of the sound has been heard', async () => {
      await world.playing(false);
      const frames = sender(await live());
      let changes = 0;
      frames.onProgress(() => (changes += 1));
      await Promise.all(Array.from({ length: 50 }, (_, piece) => frames.append(tone(piece))));
      expect(frames.progress).toEqual({ acceptedMs: 1_000, heardMs: 0 });
      await world.playing(true);
      await world.until(() => frames.progress.heardMs === 1_000);
      expect(changes).toBeGreaterThan(1);
    });

    it('counts as heard what an interruption dropped', async () => {
      await world.playing(false);
      const frames = sender(await live());
      await Promise.all(Array.from({ length: 50 }, (_, piece) => frames.append(tone(piece))));
      await frames.append({ type: 'interruption' });
      await world.until(() => frames.progress.heardMs === 1_000);
      expect(frames.over).toBe(false);
    });

    it('tells each event once and in order, though its connections are cut, and goes on behind the last', async () => {
      const id = await live();
      const telling = (async () => {
        for (let count = 0; count < 120; count += 1) {
          await world.tell(id, told(count));
          if (count % 30 === 15) world.cut();
        }
      })();
      const counts = (events: readonly EventEnvelope[]): unknown[] =>
        events.flatMap((event) => (event.type === 'message' ? [event.data.message] : []));
      const isMessage = (count: number) => (event: EventEnvelope) =>
        event.type === 'message' && JSON.stringify(event.data.message) === JSON.stringify({ count });
      const first = await eventsUntil(id, isMessage(59));
      const second = await eventsUntil(id, isMessage(119), first.at(-1)?.id);
      await telling;
      expect(counts([...first, ...second])).toEqual(Array.from({ length: 120 }, (_, count) => ({ count })));
    });

    it('brings what the avatar says, each block once, though its connections are cut; or says that this way cannot', async () => {
      const id = await live();
      const read = async (): Promise<unknown> => {
        const times: number[] = [];
        for await (const { fields } of world.transport.media(id, 'audio', '0', soon()))
          if (times.push(Number(Buffer.from(fields.get('pts') ?? []).toString())) % 50 === 0) world.cut();
        return times;
      };
      const reading = read().catch((error: unknown) => (error instanceof FleetError ? error.code : error));
      await world.addAudio?.(id, 150);
      await world.transport.ask(id, 'stop', undefined, soon());
      const outcome = await reading;
      expect(outcome).toEqual(world.addAudio ? Array.from({ length: 150 }, (_, at) => 1_000 + at * 20) : 'redis-only');
    });

    it('stops: once or twice, the end is told once, and no frame is taken after it', async () => {
      const id = await live();
      const frames = sender(id);
      await frames.append(tone(1));
      await world.transport.ask(id, 'stop', 'done here', soon());
      await world.transport.ask(id, 'stop', undefined, soon());
      const events = await eventsUntil(id, () => false);
      expect(events.filter(({ type }) => type === 'ended')).toMatchObject([{ data: { endReason: 'stopped' } }]);
      expect(world.frames(id).at(-1)).toEqual({ type: 'end', reason: 'done here' });
      const more = async (): Promise<never> => {
        for (;;) await frames.append(tone(2)); // the api may take some until it has looked again
      };
      await expect(more()).rejects.toMatchObject({ code: 'conversation-over' });
      expect(frames.over).toBe(true);
      await world.transport.ask(id, 'cancel', undefined, soon());
    });

    it('cancels', async () => {
      const id = await live();
      await world.transport.ask(id, 'cancel', undefined, soon());
      const events = await eventsUntil(id, () => false);
      expect(events.at(-1)).toMatchObject({ type: 'ended', data: { endReason: 'canceled' } });
    });

    it('ends what waits when the caller has had enough: with the reason of the signal, and when closed here', async () => {
      const id = await live();
      const enough = new AbortController();
      const watching = eventsUntil(id, () => false).catch((error: unknown) => error);
      const ended = (async () => {
        for await (const event of world.transport.events(id, '0', enough.signal)) void event;
      })();
      enough.abort(new Error('enough'));
      await expect(ended).rejects.toThrow('enough');
      const frames = sender(id);
      world.cut();
      const sending = frames.append(tone(1));
      frames.close();
      await expect(sending).rejects.toMatchObject({ code: 'shutting-down' });
      await world.transport.ask(id, 'cancel', undefined, soon());
      await watching;
    });
  });
}
