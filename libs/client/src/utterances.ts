import { isFinal, type EndReason, type EventEnvelope } from '@tavus-fleet/contracts';
import { orAborted } from '@tavus-fleet/lifecycle';
import type { PcmFormat } from './pcm.ts';
import type { FrameSender } from './transport.ts';
import { INTERRUPTED, Utterance, type Pcm, type Said } from './utterance.ts';

export type SayOptions = {
  /** Samples a second: 8000 to 48000 Hz. */
  readonly rate: number;
  /** Interleaved; default 1. */
  readonly channels?: 1 | 2;
  /** Names the utterance in events; default: a name of its own. 1 to 128 characters. */
  readonly context?: string;
  /** Stops sending; what was accepted is still heard (`interrupt()` silences it). The promise rejects with its reason. */
  readonly signal?: AbortSignal;
};

type Options = {
  readonly sender: () => Promise<FrameSender>;
  readonly aheadMs: number;
  /** Why the conversation ended; a rejection means that nobody here will know. */
  readonly ended: () => Promise<EndReason>;
};

/**
 * Utterances of one conversation, one after the other in the order of the calls, and interruptions, which overtake. Whoever
 * interrupts (we, another process, the api): what was being said ends, or its rest would be spoken after the silence.
 */
export class Utterances {
  readonly #options: Options;
  /** Utterances that wait, are being sent, or are not yet heard. */
  readonly #open = new Set<Utterance>();
  /** Interruptions of ours that no event has told of yet; what they silence was cut when they were sent. */
  readonly #own = new Set<string>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: Options) {
    this.#options = options;
  }

  async say(speech: Pcm, { rate, channels = 1, context = crypto.randomUUID(), signal }: SayOptions): Promise<Said> {
    const format: PcmFormat = { rate, channels };
    const utterance = new Utterance(context, format, this.#options.aheadMs, signal);
    this.#open.add(utterance);
    void utterance.played.then(() => this.#open.delete(utterance));
    const before = this.#turn;
    const sent = Promise.withResolvers<void>();
    this.#turn = sent.promise;
    try {
      await orAborted(before, utterance.stop);
      await utterance.send(await this.#options.sender(), speech);
    } catch (error) {
      if (error !== INTERRUPTED) {
        utterance.settle(false);
        throw error;
      }
    } finally {
      void before.then(sent.resolve);
    }
    if (!utterance.interrupted) this.#settleAtTheEnd(utterance);
    const { sentMs, interrupted, played } = utterance;
    return { context, sentMs, interrupted, played };
  }

  /** Ends every utterance that was begun or waits, and silences the avatar. Resolves when the interruption is in the stream. */
  async interrupt(reason: string | undefined): Promise<void> {
    const context = crypto.randomUUID();
    this.#own.add(context);
    for (const utterance of this.#open) utterance.interrupt();
    const sender = await this.#options.sender();
    await sender.append({ type: 'interruption', context, ...(reason === undefined ? {} : { reason }) });
  }

  /** What the fleet tells. */
  told(event: EventEnvelope): void {
    if (event.type === 'state' && isFinal(event.data.state)) this.#own.clear();
    if (event.type !== 'interrupted') return;
    const { by = '', context, playedMs } = event.data;
    const isOurs = this.#own.delete(by);
    for (const utterance of this.#open) {
      if (!isOurs) utterance.interrupt();
      if (utterance.interrupted) utterance.settle(false, utterance.context === context ? playedMs : undefined);
    }
  }

  /** Resolves when everything that was said so far is accepted, or has failed. */
  get settled(): Promise<void> {
    return this.#turn;
  }

  #settleAtTheEnd(utterance: Utterance): void {
    this.#options.ended().then(
      (reason) => utterance.settle(reason === 'stopped' || reason === 'drained'),
      () => utterance.settle(false),
    );
  }
}
