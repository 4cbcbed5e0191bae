import { Latch } from '@tavus-fleet/lifecycle';
import type { Ending } from './ending.ts';

const strength = { again: 0, stop: 1, cancel: 2, abandon: 3, 'handed-over': 4 } as const;

/**
 * Why and how a session ends. The first reason stays, unless a stronger way of ending comes while the session still drains:
 * cancel cuts a stop short, and a lost lease beats all, because what another worker owns is not ours to end.
 */
export class Endings {
  readonly #first = new Latch<Ending>();
  readonly #cut = new AbortController();
  #now: Ending | undefined;

  /** Resolves with the first ending. */
  get first(): Promise<Ending> {
    return this.#first.promise;
  }

  get now(): Ending | undefined {
    return this.#now;
  }

  /** Aborts as soon as nothing accepted has to be played to its end any more. */
  get cut(): AbortSignal {
    return this.#cut.signal;
  }

  /** Answers whether this ending counts from now on. */
  set(ending: Ending): boolean {
    if (this.#now && strength[ending.how] <= strength[this.#now.how]) return false;
    this.#now = ending;
    this.#first.set(ending);
    if (ending.how !== 'stop') this.#cut.abort();
    return true;
  }
}
