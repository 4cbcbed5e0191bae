import { FleetError } from '@tavus-fleet/contracts';
import { Latch, systemClock, withDeadline, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { RawData, WebSocket } from 'ws';
import { heartbeatMs, pageSilentMs } from './limits.ts';
import { readMedia, type MediaMessage } from './media-message.ts';
import { parseFromPage } from './page-server.ts';
import type { Command, FromNode, Identity, WireEvent } from './wire.ts';

export type ChannelHooks = {
  readonly onEvent: (event: WireEvent) => void;
  readonly onMedia: (message: MediaMessage) => void;
};
export type ChannelEnd = { readonly code: 'page-crashed' | 'page-silent' | 'asked'; readonly reason: string };

type Answer = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: FleetError };

/** What may wait in the socket before a write is refused: the ten seconds that the page takes, twice. */
const maxBufferedBytes = 1024 * 1024;
const maxPendingCommands = 256;
/** Far above a busy room (50 sound blocks for each of ten voices, 60 pictures and some tens of events a second); beyond it the page is broken or hostile. */
const maxMessagesPerSecond = 2_000;

/**
 * Our end of one session's media channel. Every command has an id, an answer and a deadline; the heartbeat tells the page
 * that we live, its answer tells us that both of its threads do. What it sends is parsed, counted and capped. Ends once, with a reason.
 */
export class Channel {
  /** Messages that were not of the protocol. */
  malformed = 0;
  readonly #socket: WebSocket;
  readonly #hooks: ChannelHooks;
  readonly #clock: Clock;
  readonly #ended = new Latch<ChannelEnd>();
  readonly #answers = new Map<number, (answer: Answer) => void>();
  readonly #heartbeat: Timer;
  #identity: Identity;
  #nextId = 1;
  #aliveAt: number;
  #beatAt: number;
  #window = { second: 0, messages: 0 };

  constructor(socket: WebSocket, identity: Identity, hooks: ChannelHooks, clock: Clock = systemClock) {
    this.#socket = socket;
    this.#identity = identity;
    this.#hooks = hooks;
    this.#clock = clock;
    this.#aliveAt = clock.now();
    this.#beatAt = this.#aliveAt;
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('close', () => this.#end({ code: 'page-silent', reason: 'The page closed its channel.' }));
    this.#send({ type: 'welcome' });
    this.#heartbeat = clock.every(heartbeatMs, () => this.#beat());
  }

  /** Resolves once with why it is over; never rejects. */
  get ended(): Promise<ChannelEnd> {
    return this.#ended.promise;
  }

  /** Commands from now on are of this session. */
  setIdentity(identity: Identity): void {
    this.#identity = identity;
  }

  /** Sends one command and waits for its answer. Rejects with the page's code, `deadline-exceeded`, or `page-silent` when the channel is over. */
  async command(command: Command, timeoutMs: number, signal?: AbortSignal): Promise<unknown> {
    if (this.#ended.isSet) throw new FleetError('page-silent', 'The page is gone.');
    if (this.#answers.size >= maxPendingCommands)
      throw new FleetError('page-silent', 'The page answers nothing any more.');
    const id = this.#nextId++;
    try {
      return await withDeadline(
        { signal, ms: timeoutMs, what: `The page's answer to ${command.type}`, clock: this.#clock },
        async () => {
          const { promise, resolve } = Promise.withResolvers<Answer>();
          this.#answers.set(id, resolve);
          this.#send({ type: 'command', id, identity: this.#identity, command });
          const answer = await promise;
          if (!answer.ok) throw answer.error;
          return answer.result;
        },
      );
    } finally {
      this.#answers.delete(id);
    }
  }

  /** Sends PCM; false when the socket holds too much already or is over. */
  sendAudio(pcm: Uint8Array): boolean {
    if (
      this.#ended.isSet ||
      this.#socket.readyState !== this.#socket.OPEN ||
      this.#socket.bufferedAmount > maxBufferedBytes
    )
      return false;
    this.#socket.send(pcm, { binary: true });
    return true;
  }

  close(): void {
    this.#end({ code: 'asked', reason: 'closed' });
  }

  #beat(): void {
    // Our own process stood still: what the page said meanwhile is not read yet, and its silence is ours.
    const stoodStillMs = this.#clock.now() - this.#beatAt - heartbeatMs;
    if (stoodStillMs > heartbeatMs) this.#aliveAt += stoodStillMs;
    this.#beatAt = this.#clock.now();
    if (this.#clock.now() - this.#aliveAt > pageSilentMs)
      return this.#end({ code: 'page-silent', reason: `The page did not answer for ${pageSilentMs} ms.` });
    this.#send({ type: 'heartbeat' });
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#ended.isSet) return;
    const second = Math.floor(this.#clock.now() / 1_000);
    if (this.#window.second !== second) this.#window = { second, messages: 0 };
    this.#window.messages += 1;
    if (this.#window.messages > maxMessagesPerSecond)
      return this.#end({ code: 'page-crashed', reason: 'The page sent too much.' });
    // `ws` gives a Buffer unless told otherwise (binaryType is left at nodebuffer).
    const bytes = data as Buffer;
    if (isBinary) {
      const media = readMedia(bytes);
      if (media) this.#hooks.onMedia(media);
      else this.malformed += 1;
      return;
    }
    this.#receiveText(bytes.toString('utf8'));
  }

  #receiveText(text: string): void {
    const message = parseFromPage(text);
    if (!message || message.type === 'hello') {
      this.malformed += 1;
      return;
    }
    switch (message.type) {
      case 'alive':
        // The worker answers by itself; a hung main thread shows in what it adds.
        this.#aliveAt = Math.max(this.#aliveAt, this.#clock.now() - message.mainAgeMs);
        return;
      case 'event':
        return this.#hooks.onEvent(message.event);
      case 'answer': {
        const settle = this.#answers.get(message.id); // a late answer finds nobody
        if (message.ok) settle?.({ ok: true, result: message.result });
        else settle?.({ ok: false, error: new FleetError(message.code, withoutSecrets(message.reason)) });
      }
    }
  }

  #end(end: ChannelEnd): void {
    if (!this.#ended.set(end)) return;
    this.#heartbeat[Symbol.dispose]();
    const error = new FleetError('page-silent', end.reason);
    for (const settle of this.#answers.values()) settle({ ok: false, error });
    this.#socket.terminate();
  }

  #send(message: FromNode): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }
}

/** What Daily says may name the room's URL or hold a token; reasons are logged and returned, so both go. */
export function withoutSecrets(text: string): string {
  return text.replaceAll(/[a-z]+:\/\/\S+/gi, '[url]').replaceAll(/\beyJ[\w-]+\.[\w.-]+/g, '[token]');
}
