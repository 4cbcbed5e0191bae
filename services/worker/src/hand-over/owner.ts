import { asFleetError, FleetError } from '@tavus-fleet/contracts';
import { retry, sleep, type Clock } from '@tavus-fleet/lifecycle';
import type { HandOverStep, Offer, RecordPatch } from '@tavus-fleet/redis';
import type { Giving } from '../session/giving.ts';
import { UNTIL_REDIS } from '../until-redis.ts';

/** An offer is looked at so often; once the heir is there, and the track is about to change hands, more often. */
const LOOK_MS = 150;
const SOON_MS = 30;
/** No utterance ends for so long: it is cut, to the sample. */
const BOUNDARY_MS = 5_000;
/** Nobody waits longer than this for the others of this worker: an heir that is ready stays so for 10 s (handOverSteps). */
const TURN_MS = 3_000;
const PAUSE_MS = 3_000;
/** What the replica says after its last sample is its own delay; a longer one is cut. */
const TAIL_MS = 1_500;
/** Then the users keep the old picture no longer, whatever became of the heir. */
const SHOWN_MS = 8_000;

/** What the owner's side needs of Redis. */
export interface GivingPort {
  offer(offer: Offer): Promise<'offered' | 'fenced' | 'busy'>;
  look(conversationId: string, token: string): Promise<HandOverStep | 'void'>;
  withdraw(offer: Offer): Promise<unknown>;
  give(offer: Offer, at: RecordPatch): Promise<'given' | 'refused' | 'fenced'>;
  silent(offer: Offer): Promise<unknown>;
  newToken(): string;
}

export type OwnerOptions = {
  readonly port: GivingPort;
  readonly clock: Clock;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
};

/**
 * The owner's side of one hand-over after the other, until one of them succeeds: offer → wait for an heir that is ready → wait for
 * the end of an utterance, and its turn → stop → give → fall silent → leave when the heir is seen. Whatever fails before `given` leaves the
 * session as it was. The steps stand in handOverSteps.
 */
export class OwnerSide {
  readonly #options: OwnerOptions;
  /** How many are between the pause and the heir's being seen. */
  #changing = 0;

  constructor(options: OwnerOptions) {
    this.#options = options;
  }

  /**
   * Offers what `giving` answers (undefined: nothing to give just now) until it is given or the signal aborts. Never rejects.
   * Resolves with `kept` when the session is still here and the signal has aborted.
   */
  async handOver(giving: () => Giving | undefined, signal: AbortSignal): Promise<'given' | 'kept'> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        const session = giving();
        if (session && (await this.#once(session, signal))) return 'given';
      } catch (error) {
        const { code, message } = asFleetError(error);
        if (!signal.aborted) log.warn({ code, reason: message }, 'a hand-over failed; the owner goes on');
      }
      await sleep(clock, LOOK_MS, signal).catch(() => undefined);
    }
    return 'kept';
  }

  async #once(session: Giving, signal: AbortSignal): Promise<boolean> {
    const { port } = this.#options;
    const offer: Offer = { owner: session.ownership, token: port.newToken() };
    if ((await port.offer(offer)) !== 'offered') return false;
    try {
      if (!(await this.#untilReady(offer, signal))) return false;
      await this.#untilTurn(session, signal);
    } finally {
      if (signal.aborted) await port.withdraw(offer).catch(() => undefined); // it runs out by itself
    }
    return this.#change(session, offer);
  }

  async #untilReady(offer: Offer, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const step = await this.#look(offer);
      if (step === 'ready') return true;
      if (step !== undefined && step !== 'offered' && step !== 'claimed') return false;
      await sleep(this.#options.clock, LOOK_MS, signal);
    }
  }

  /**
   * The end of an utterance, or the time in which there was none. One of this worker's conversations after the other: what two of them do
   * at once is heard as silence twice as long by both.
   */
  async #untilTurn(session: Giving, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const cutAt = clock.now() + BOUNDARY_MS;
    const isDue = (): boolean => session.atRest || clock.now() >= cutAt;
    const isFree = (): boolean => this.#changing === 0 || clock.now() >= cutAt + TURN_MS;
    while (!isDue() || !isFree()) await sleep(clock, SOON_MS, signal);
    this.#changing += 1; // in the turn of the last look
  }

  /** Somebody else's from `given` on, and nothing of us is left in the rooms when it resolves. False: it is still ours. */
  async #change(session: Giving, offer: Offer): Promise<boolean> {
    try {
      const step = await this.#look(offer);
      if (step !== 'ready') throw new FleetError('internal', `The heir is not ready any more: ${step ?? 'unknown'}.`);
      if (!(await this.#give(session, offer))) return false;
      await this.#fallSilent(session, offer);
      await this.#untilSeen(session, offer);
      return true;
    } finally {
      this.#changing -= 1;
    }
  }

  /** From the pause on the signal does not count: it is a matter of milliseconds, and must not stay half done. */
  async #give(session: Giving, offer: Offer): Promise<boolean> {
    const { port, clock } = this.#options;
    let outcome: 'given' | 'refused' | 'fenced' = 'refused';
    try {
      const at = await session.pause(AbortSignal.timeout(PAUSE_MS));
      // Without an answer nobody knows who owns it: nothing may be played until Redis says so.
      outcome = await retry(UNTIL_REDIS, { clock }, () => port.give(offer, at));
    } finally {
      if (outcome === 'refused') await session.resume(AbortSignal.timeout(PAUSE_MS));
    }
    if (outcome === 'fenced') session.lost();
    if (outcome === 'given') session.given();
    return outcome === 'given';
  }

  /** Our sound goes before the heir's comes. Never rejects: the heir waits for our word only so long. */
  async #fallSilent(session: Giving, offer: Offer): Promise<void> {
    const { port, log } = this.#options;
    try {
      await session.fallSilent(TAIL_MS, AbortSignal.timeout(TAIL_MS + PAUSE_MS));
      await port.silent(offer);
    } catch (error) {
      log.warn({ code: asFleetError(error).code }, 'not silent as planned; the heir goes on all the same');
    }
  }

  /** Our picture stays until the heir's is there. */
  async #untilSeen(session: Giving, offer: Offer): Promise<void> {
    const { clock, log } = this.#options;
    const until = clock.now() + SHOWN_MS;
    try {
      while (clock.now() < until && (await this.#look(offer)) !== 'shown') await sleep(clock, SOON_MS);
    } catch (error) {
      log.warn({ code: asFleetError(error).code }, 'the heir goes on; leaving at once');
    }
    session.leave();
  }

  /** Undefined while Redis is silent: nothing has changed as far as we know. */
  async #look({ owner, token }: Offer): Promise<HandOverStep | 'void' | undefined> {
    try {
      return await this.#options.port.look(owner.conversationId, token);
    } catch (error) {
      if (asFleetError(error).code === 'redis-unavailable') return undefined;
      throw error;
    }
  }
}
