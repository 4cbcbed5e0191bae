import { sleep, type Clock } from '@tavus-fleet/lifecycle';
import { newNonce, redisTime, type HandOvers, type WorkerRegistry } from '@tavus-fleet/redis';
import { makeSession, type FactoryDeps } from '../session-factory.ts';
import type { Sessions } from '../sessions.ts';
import type { Stay } from '../stay.ts';
import type { HeirPort } from './heirs.ts';
import { OwnerSide } from './owner.ts';
import { PreparedRoom } from './prepared-room.ts';

const OTHERS_EVERY_MS = 1_000;

export type HandOverDeps = FactoryDeps & { readonly handOvers: HandOvers; readonly registry: WorkerRegistry };

/** The heir's side bound to this worker. */
export function heirPort(deps: HandOverDeps, sessions: () => Sessions): HeirPort {
  const { handOvers, records, rooms, clock, workerId, redis, log } = deps;
  return {
    log,
    whyNotOneMore: () => sessions().whyNotOneMore(),
    open: () => handOvers.open(),
    claim: (id) => handOvers.claim(id, workerId, newNonce()),
    steps: (claim, step) => handOvers.heirSteps(claim, step),
    look: ({ ownership, token }) => handOvers.look(ownership.conversationId, token),
    async record(id) {
      const record = await records.get(id);
      if (!record) throw new Error('The record of an offered conversation is gone.');
      return record;
    },
    prepare: async (claim, record, signal) =>
      PreparedRoom.prepare(
        { rooms, clock, record, secrets: await records.secrets(record.conversationId), ownerEpoch: claim.ownerEpoch },
        signal,
      ),
    async adopt({ ownership, ownerEpoch }, room) {
      const confirmedAt = clock.now();
      const owned = redisTime(redis).then((redisNowMs) => ({ ownership, redisNowMs }));
      log.info(
        { conversationId: ownership.conversationId, fromEpoch: ownerEpoch },
        'conversation handed to this worker',
      );
      const stay = await sessions().inherit(ownership.conversationId, owned, confirmedAt, (record, own) =>
        makeSession(deps, record, own, undefined, room),
      );
      // A session that only cleans up opens no room.
      void stay.done.then(() => room.close());
      return { live: stay.started };
    },
  };
}

/** The owner's side: gives a stay to another worker while there is one that could take it. */
export class GivingAway {
  readonly #deps: HandOverDeps;
  readonly #side: OwnerSide;

  constructor(deps: HandOverDeps) {
    this.#deps = deps;
    const { handOvers, clock, log } = deps;
    this.#side = new OwnerSide({
      clock,
      log,
      port: {
        offer: (offer) => handOvers.offer(offer),
        look: (id, token) => handOvers.look(id, token),
        withdraw: (offer) => handOvers.withdraw(offer),
        give: (offer, at) => handOvers.give(offer, at),
        silent: (offer) => handOvers.silent(offer),
        newToken: newNonce,
      },
    });
  }

  /** Resolves with `kept` when the signal aborts or no other worker is left, and the session is still here. */
  async handOver(stay: Stay, signal: AbortSignal): Promise<'given' | 'kept'> {
    const alone = new AbortController();
    const until = AbortSignal.any([signal, alone.signal]);
    void this.#untilAlone(until).then(() => alone.abort());
    void stay.done.then(() => alone.abort());
    // Not before it is known that somebody could take it: an offer to nobody costs the end of the call its first second.
    if (!(await this.#isAnybodyElse())) alone.abort();
    const outcome = await this.#side.handOver(() => stay.session.giving, until);
    alone.abort();
    return outcome;
  }

  async #untilAlone(signal: AbortSignal): Promise<void> {
    const clock: Clock = this.#deps.clock;
    while (!signal.aborted) {
      await sleep(clock, OTHERS_EVERY_MS, signal).catch(() => undefined);
      if (!signal.aborted && !(await this.#isAnybodyElse())) return;
    }
  }

  /** While Redis is silent nobody can be counted: then whoever was there is. */
  async #isAnybodyElse(): Promise<boolean> {
    try {
      const workers = await this.#deps.registry.list();
      return workers.some(({ id, draining }) => id !== this.#deps.workerId && !draining);
    } catch {
      return true;
    }
  }
}
