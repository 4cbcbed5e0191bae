import { asFleetError, type ConversationRecord } from '@tavus-fleet/contracts';
import { sleep, withDeadline, type Clock, type Timer } from '@tavus-fleet/lifecycle';
import type { Claim, HandOverStep } from '@tavus-fleet/redis';
import type { PreparedRoom } from './prepared-room.ts';

const EVERY_MS = 250;
const SOON_MS = 30;
/** Preparing costs a page and two joins: more at once would be felt by those who are live here. */
const MOST_AT_ONCE = 2;
/** From being live to being heard: speech on its way to the replica and back (our choice). */
const CALM_MS = 500;
const PREPARE_MS = 20_000;
const DECLINE_MS = 2_000;

/** What an heir needs of the fleet. */
export interface HeirPort {
  /** Why no further conversation may be taken here just now. */
  whyNotOneMore(): string | undefined;
  open(): Promise<readonly string[]>;
  claim(conversationId: string): Promise<Claim | undefined>;
  steps(claim: Claim, step: 'ready' | 'shown' | 'declined'): Promise<'taken' | 'refused'>;
  look(claim: Claim): Promise<HandOverStep | 'void'>;
  record(conversationId: string): Promise<ConversationRecord>;
  /** Enters both rooms under the owner's epoch, unseen. */
  prepare(claim: Claim, record: ConversationRecord, signal: AbortSignal): Promise<PreparedRoom>;
  /** The conversation is ours: runs the session on what was prepared. Resolves when it has begun, and then with when it is heard. */
  adopt(claim: Claim, room: PreparedRoom): Promise<{ readonly live: Promise<unknown> }>;
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/**
 * Looks for conversations that are offered and becomes their heir while there is a slot: claim → enter both rooms unseen → ready →
 * wait → the owner gives → a session like every successor's. Whatever fails before is closed again, and the owner goes on.
 */
export class Heirs {
  readonly #port: HeirPort;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #life = new AbortController();
  readonly #preparing = new Set<Promise<void>>();
  /** How many are between given and heard: their users hear each moment that a page which is opened beside them takes. */
  #changing = 0;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(port: HeirPort, clock: Clock, onError: (error: unknown) => void) {
    this.#port = port;
    this.#clock = clock;
    this.#onError = onError;
  }

  /** Slots that are kept for what is being prepared. */
  get size(): number {
    return this.#preparing.size;
  }

  start(): void {
    this.#timer ??= this.#clock.every(EVERY_MS, () => void this.look());
  }

  /** One look; one that is still under way is not overtaken. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch(this.#onError)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  /** Takes no further offer; what is being prepared is given up. May be called twice. */
  async close(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#life.abort(new Error('The worker takes no more.'));
    await this.#looking;
    await Promise.allSettled(this.#preparing);
  }

  async #look(): Promise<void> {
    if (!this.#mayTake()) return;
    for (const id of await this.#port.open()) {
      if (!this.#mayTake()) return;
      const claim = await this.#port.claim(id);
      if (!claim) continue;
      const work: Promise<void> = this.#inherit(claim)
        .catch(this.#onError)
        .finally(() => this.#preparing.delete(work));
      this.#preparing.add(work);
    }
  }

  #mayTake(): boolean {
    return (
      !this.#life.signal.aborted &&
      this.size < MOST_AT_ONCE &&
      this.#changing === 0 &&
      this.#port.whyNotOneMore() === undefined
    );
  }

  async #inherit(claim: Claim): Promise<void> {
    const { conversationId } = claim.ownership;
    let room: PreparedRoom | undefined;
    try {
      room = await this.#prepare(claim);
      if ((await this.#port.steps(claim, 'ready')) === 'taken' && (await this.#untilGiven(claim, room))) {
        const taken = room;
        taken.take({
          silent: (signal) => this.#untilSilent(claim, signal),
          shown: async () => void (await this.#port.steps(claim, 'shown')),
        });
        room = undefined;
        return await this.#adopt(claim, taken);
      }
    } catch (error) {
      const { code, message } = asFleetError(error);
      this.#port.log.warn({ conversationId, code, reason: message }, 'not ready to go on with an offered conversation');
    } finally {
      if (room) await room.close();
    }
    await this.#decline(claim);
  }

  async #adopt(claim: Claim, room: PreparedRoom): Promise<void> {
    this.#changing += 1;
    const changed = (): void => void (this.#changing -= 1);
    try {
      const { live } = await this.#port.adopt(claim, room);
      void live.then(() => sleep(this.#clock, CALM_MS)).then(changed, changed);
    } catch (error) {
      changed();
      throw error;
    }
  }

  async #prepare(claim: Claim): Promise<PreparedRoom> {
    const record = await this.#port.record(claim.ownership.conversationId);
    return withDeadline(
      { signal: this.#life.signal, ms: PREPARE_MS, what: 'Preparing a hand-over', clock: this.#clock },
      (signal) => this.#port.prepare(claim, record, signal),
    );
  }

  /** False when it is void, or when what was prepared is of no use any more. A closing worker gives up only what is not its own yet. */
  async #untilGiven(claim: Claim, room: PreparedRoom): Promise<boolean> {
    let isLost = false;
    void room.closed.then(() => (isLost = true));
    for (;;) {
      const step = await this.#port.look(claim).catch(() => undefined);
      // The owner may have fallen silent before we looked again.
      if (step === 'given' || step === 'silent') return true;
      if (step !== undefined && step !== 'ready') return false;
      if (isLost || this.#life.signal.aborted) {
        if ((await this.#port.steps(claim, 'declined')) === 'taken') return false;
        continue; // given in that very moment: then it is ours, whatever state our page is in
      }
      await sleep(this.#clock, SOON_MS);
    }
  }

  async #untilSilent(claim: Claim, signal: AbortSignal): Promise<void> {
    while ((await this.#port.look(claim)) === 'given') await sleep(this.#clock, SOON_MS, signal);
  }

  async #decline(claim: Claim): Promise<void> {
    await withDeadline({ ms: DECLINE_MS, what: 'Declining', clock: this.#clock }, () =>
      this.#port.steps(claim, 'declined'),
    ).catch(() => undefined); // it runs out by itself
  }
}
