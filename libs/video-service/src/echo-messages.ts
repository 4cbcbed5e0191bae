import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { retry, sleep, withDeadline, type Clock } from '@tavus-fleet/lifecycle';
import type { Room } from '@tavus-fleet/rooms';
import { echoMessage, maxEchoBytes } from '@tavus-fleet/tavus';
import type { FrameSink, Position } from './frames.ts';
import { msOf, OUT_RATE, type SpeechOut } from './speech-out.ts';

const SEND_MS = 3_000;
/** No audio for this long closes the utterance, as Pipecat does when tts-stopped never comes. */
const FALLBACK_MS = 3_000;
/** Pipecat closes an utterance with a separate message of 40 ms silence and done=true. */
const DONE_SILENCE = new Uint8Array((OUT_RATE / 25) * 2);
/** First message of an utterance: small, so that the avatar starts early; later ones as large as the room allows. */
const FIRST_BYTES = (OUT_RATE / 50) * 2;
const QUEUE_MAX_SAMPLES = 30 * OUT_RATE;

type Item = { pcm: Uint8Array; position: Position | undefined } | { done: true; position: Position | undefined };

export type EchoOptions = {
  readonly room: Room;
  readonly clock: Clock;
  readonly conversationId: string;
  /** The room's limit for one app message, UTF-16 units of its JSON. */
  readonly maxMessageLength: number;
  readonly onPlayed: (position: Position, samples: number) => void;
  readonly sink: FrameSink;
};

/**
 * Echo mode: `conversation.echo` messages, as fast as they are accepted (Tavus buffers and renders; documented by Pipecat as
 * wanted). One inference id per utterance, kept to its last message: switching early cut sentences. One message is in flight at a time.
 */
export class EchoMessages implements SpeechOut {
  readonly #options: EchoOptions;
  readonly #life = new AbortController();
  #queue: Item[] = [];
  #queuedSamples = 0;
  #sentSamples = 0;
  #dueAt = 0;
  #inferenceId: string | undefined;
  #first = true;
  #running = Promise.resolve();
  #busy = false;
  #generation = 0;
  #fallback: Disposable | undefined;

  constructor(options: EchoOptions) {
    this.#options = options;
  }

  get bufferedMs(): number {
    return msOf(this.#queuedSamples);
  }

  /** Sent and, by the clock, rendered by now: Tavus plays in real time and says nothing more exact. */
  get playedSamples(): number {
    const aheadMs = Math.max(0, this.#dueAt - this.#options.clock.now());
    return Math.max(0, this.#sentSamples - Math.round((aheadMs * OUT_RATE) / 1000));
  }

  get lastSoundAt(): number {
    return this.#dueAt;
  }

  write(pcm: Uint8Array, position: Position | undefined): boolean {
    if (this.#life.signal.aborted || this.#queuedSamples + pcm.byteLength / 2 > QUEUE_MAX_SAMPLES) return false;
    this.#queue.push({ pcm, position });
    this.#queuedSamples += pcm.byteLength / 2;
    this.#kick();
    return true;
  }

  endUtterance(position: Position | undefined): void {
    this.#queue.push({ done: true, position });
    this.#kick();
  }

  async interrupt(signal: AbortSignal): Promise<{ droppedSamples: number; playedSamples: number }> {
    const playedSamples = this.playedSamples;
    const droppedSamples = this.#queuedSamples + (this.#sentSamples - playedSamples);
    this.#generation += 1;
    const last = this.#queue.at(-1)?.position;
    this.#queue = [];
    this.#queuedSamples = 0;
    this.#inferenceId = undefined; // no `done` for the utterance that was cut
    this.#fallback?.[Symbol.dispose]();
    this.#dueAt = this.#options.clock.now();
    await withDeadline({ signal, ms: SEND_MS, what: 'The message in flight', clock: this.#options.clock }, () => this.#running);
    this.#sentSamples = playedSamples;
    if (last !== undefined) this.#options.onPlayed(last, playedSamples);
    return { droppedSamples, playedSamples };
  }

  async drained(signal: AbortSignal): Promise<void> {
    while (this.#busy) await withDeadline({ signal, ms: 60_000, what: 'Sending what waits', clock: this.#options.clock }, () => this.#running);
    await sleep(this.#options.clock, Math.max(0, this.#dueAt - this.#options.clock.now()), signal);
  }

  close(): void {
    this.#life.abort(new FleetError('shutting-down', 'The conversation is ending.'));
    this.#fallback?.[Symbol.dispose]();
    this.#queue = [];
    this.#queuedSamples = 0;
  }

  #kick(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#running = this.#run().finally(() => {
      this.#busy = false;
    });
  }

  async #run(): Promise<void> {
    const generation = this.#generation;
    for (let item = this.#queue[0]; item && generation === this.#generation && !this.#life.signal.aborted; item = this.#queue[0]) {
      if ('done' in item) {
        this.#queue.shift();
        await this.#done();
      } else if (item.pcm.byteLength === 0) {
        this.#queue.shift();
      } else {
        await this.#sendAudio(generation);
        continue;
      }
      if (item.position !== undefined) this.#options.onPlayed(item.position, this.#sentSamples);
    }
  }

  /** Sends one message with as much of the waiting audio as fits; positions of what it finishes count when it is accepted. */
  async #sendAudio(generation: number): Promise<void> {
    this.#inferenceId ??= crypto.randomUUID();
    const most = this.#first ? FIRST_BYTES : Math.max(2, maxEchoBytes({ limit: this.#options.maxMessageLength, conversationId: this.#options.conversationId, inferenceId: this.#inferenceId, sampleRate: OUT_RATE }));
    const parts: Uint8Array[] = [];
    const positions: Position[] = [];
    let bytes = 0;
    for (let item = this.#queue[0]; item && !('done' in item) && bytes < most; item = this.#queue[0]) {
      const take = item.pcm.subarray(0, Math.min(item.pcm.byteLength, most - bytes));
      parts.push(take);
      bytes += take.byteLength;
      if (take.byteLength < item.pcm.byteLength) this.#queue[0] = { pcm: item.pcm.subarray(take.byteLength), position: item.position };
      else {
        this.#queue.shift();
        if (item.position !== undefined) positions.push(item.position);
      }
    }
    this.#queuedSamples -= bytes / 2;
    this.#first = false;
    if (!(await this.#send(Buffer.concat(parts), false))) return;
    if (generation !== this.#generation) return;
    this.#sentSamples += bytes / 2;
    this.#dueAt = Math.max(this.#dueAt, this.#options.clock.now()) + msOf(bytes / 2);
    const position = positions.at(-1);
    if (position !== undefined) this.#options.onPlayed(position, this.#sentSamples);
    this.#fallback?.[Symbol.dispose]();
    this.#fallback = this.#options.clock.after(FALLBACK_MS, () => this.endUtterance(undefined));
  }

  async #done(): Promise<void> {
    if (this.#inferenceId === undefined) return;
    this.#fallback?.[Symbol.dispose]();
    await this.#send(DONE_SILENCE, true);
    this.#inferenceId = undefined;
    this.#first = true;
  }

  async #send(pcm: Uint8Array, done: boolean): Promise<boolean> {
    const { conversationId, room, clock, sink } = this.#options;
    const message = echoMessage({ conversationId, inferenceId: this.#inferenceId ?? '', audio: pcm, sampleRate: OUT_RATE, done });
    try {
      await retry({ attempts: 3, firstMs: 50, maxMs: 500 }, { signal: this.#life.signal, clock }, () =>
        withDeadline({ signal: this.#life.signal, ms: SEND_MS, what: 'Sending speech', clock }, (own) => room.send(message, own)),
      );
      return true;
    } catch (thrown) {
      if (this.#life.signal.aborted) return false;
      const error = asFleetError(thrown);
      sink.push({ type: 'error', code: error.code, fatal: false, message: error.message });
      sink.push({ type: 'frames-dropped', count: 1, ms: msOf(pcm.byteLength / 2), why: 'refused' });
      return false;
    }
  }
}
