import { asFleetError, FleetError, parseEventLine, type EventEnvelope } from '@tavus-fleet/contracts';
import { sleep, systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { unreachable, type Requests } from './requests.ts';

/** The api says something every 15 s; a line that is silent for this long is dead, though it looks open. */
const SILENT_MS = 40_000;
const AGAIN_MS = { first: 100, max: 2_000 };

type Options = {
  readonly requests: Requests;
  readonly conversationId: string;
  readonly after: string;
  readonly signal: AbortSignal;
  /** How long the api may be away before the reader is told. */
  readonly patienceMs: number;
  readonly clock?: Clock;
};

/**
 * Events of one conversation by server-sent events. A cut line is taken up behind the last event that was handed out; a half event
 * that a cut left is not handed out. It reads on only when the caller asks: TCP and the api hold the rest back.
 */
export async function* eventSource(options: Options): AsyncGenerator<EventEnvelope, void, void> {
  const { requests, conversationId, signal, patienceMs, clock = systemClock } = options;
  const path = `/v1/conversations/${encodeURIComponent(conversationId)}/events`;
  let last = options.after;
  let heardAt = clock.now();
  let pauseMs = AGAIN_MS.first;
  for (;;) {
    try {
      using line = new Line(signal, clock);
      const headers = { accept: 'text/event-stream', ...(last === '0' ? {} : { 'last-event-id': last }) };
      const response = await requests.open({ method: 'GET', path, headers }, line.signal);
      if (response.status === 204) return; // over, and all of it was delivered
      for await (const data of line.read(response)) {
        heardAt = clock.now();
        pauseMs = AGAIN_MS.first;
        const parsed = parseEventLine(data);
        if ('malformed' in parsed) continue; // of a newer fleet: what this version cannot name it cannot tell
        last = parsed.event.id;
        yield parsed.event;
        heardAt = clock.now(); // what the caller took for it is not the api's silence
        if (parsed.event.type === 'ended') return;
      }
      heardAt = clock.now(); // it ended in order: the api is leaving, another one answers
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asFleetError(thrown);
      if (!error.retry || error.code === 'internal' || clock.now() - heardAt > patienceMs) throw error;
    }
    await sleep(clock, pauseMs, signal);
    pauseMs = Math.min(AGAIN_MS.max, pauseMs * 2);
  }
}

/** One connection, cut by us when nothing comes. */
class Line implements Disposable {
  readonly #dead = new AbortController();
  readonly #clock: Clock;
  #timer: Disposable;
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal, clock: Clock) {
    this.#clock = clock;
    this.#timer = this.#watch();
    this.signal = AbortSignal.any([signal, this.#dead.signal]);
  }

  /** The `data` of each event. Rejects with `api-unavailable` when the line breaks. */
  async *read(response: Response): AsyncGenerator<string, void, void> {
    if (!response.body) throw unreachable(undefined);
    const alive = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        this.#timer[Symbol.dispose]();
        this.#timer = this.#watch();
        controller.enqueue(bytes);
      },
    });
    const events = response.body
      .pipeThrough(alive)
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    try {
      for await (const { data } of events) yield data;
    } catch (error) {
      throw error instanceof FleetError ? error : unreachable(error);
    }
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#dead.abort(); // whoever stops reading in the middle leaves no connection behind
  }

  #watch(): Disposable {
    return this.#clock.after(SILENT_MS, () => this.#dead.abort(unreachable('silent')));
  }
}
