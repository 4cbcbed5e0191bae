// Three workers, a backend and fate do what they like with one conversation, each in its own order, and fast-check's scheduler decides who
// comes next. A model of a page says what Redis must answer to each; whoever owned it once goes on believing so. After all that the next
// owner ends it, and no former one can do anything any more.
import assert from 'node:assert/strict';
import {
  finalState,
  isFinal,
  mayMove,
  StartRequest,
  type ConversationState,
  type Ownership,
} from '@tavus-fleet/contracts';
import { redisFixture } from '@tavus-fleet/testkit/redis-fixture';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { EventLog } from './events.ts';
import { createKeys } from './keys.ts';
import { Leases } from './leases.ts';
import { Records } from './records.ts';

const fixture = redisFixture();
const RUNS = process.env['FULL'] ? 10_000 : 200;
const redis = fixture.connect();
const keys = createKeys(fixture.keyPrefix);
const records = new Records(redis, keys);
const leases = new Leases({ commands: redis, lease: redis, keys, ttlMs: 600_000 });
const events = new EventLog(redis, keys);
const request = StartRequest.parse({ replicaId: 'r1' });

const workerSteps = ['acquire', 'renew', 'release', 'recover', 'starting', 'live', 'stopping', 'end', 'event'] as const;
const backendSteps = ['stop', 'cancel', 'withdraw'] as const;
type WorkerStep = (typeof workerSteps)[number];
type BackendStep = (typeof backendSteps)[number];
type Answer = string;

/** What Redis must know and answer: the rules once more, without Lua. */
class Model {
  state: ConversationState = 'queued';
  epoch = 0;
  /** Of the record's owner; undefined when it gave the conversation back, or nobody has had it. */
  nonce: string | undefined;
  lease: string | undefined;
  desired: string | undefined;
  endReason: string | undefined;
  ends = 0;
  readonly #asked = new Set<string>();

  owns(owner: Ownership): boolean {
    return owner.epoch === this.epoch && owner.nonce === this.nonce;
  }

  ownAnew(nonce: string): void {
    this.epoch += 1;
    this.nonce = nonce;
    this.lease = `${nonce}:${this.epoch}`;
  }

  acquire(nonce: string): Answer {
    if (isFinal(this.state)) return 'final';
    if (this.lease !== undefined) return 'held';
    this.ownAnew(nonce);
    return 'owned';
  }

  renew(owner: Ownership): Answer {
    if (this.#isAnothers(owner)) return 'lost';
    if (this.lease !== undefined || !isFinal(this.state)) this.lease = `${owner.nonce}:${owner.epoch}`;
    return `held ${this.desired ?? ''}`;
  }

  recover(owner: Ownership, nonce: string): Answer {
    if (this.#isAnothers(owner)) return 'fenced';
    if (isFinal(this.state)) return 'final';
    this.ownAnew(nonce);
    return 'owned';
  }

  release(owner: Ownership): Answer {
    if (this.lease === `${owner.nonce}:${owner.epoch}`) this.lease = undefined;
    if (!this.owns(owner)) return 'fenced';
    if (!isFinal(this.state)) this.nonce = undefined;
    return 'released';
  }

  move(owner: Ownership, to: ConversationState, reason?: string): Answer {
    if (!this.owns(owner)) return 'fenced';
    if (this.state === to && (reason === undefined || reason === this.endReason)) return 'moved';
    if (!mayMove(this.state, to)) return 'refused';
    if (reason === undefined) this.state = to;
    else this.#finish(to, reason);
    return 'moved';
  }

  desire(verb: 'stop' | 'cancel'): Answer {
    if (isFinal(this.state)) return this.#asked.has(verb) ? 'already' : 'over';
    if (this.#asked.has(verb)) return 'already';
    this.#asked.add(verb);
    if (this.state === 'queued' && this.epoch === 0) {
      this.desired = verb;
      const reason = verb === 'stop' ? 'stopped' : 'canceled';
      this.#finish(finalState(reason), reason);
      return 'final';
    }
    if (this.desired === 'cancel') return 'already';
    this.desired = verb;
    return 'accepted';
  }

  withdraw(): Answer {
    if (this.state !== 'queued' || this.lease !== undefined) return 'refused';
    this.nonce = undefined;
    this.#finish('failed', 'start-failed');
    return 'ended';
  }

  #isAnothers(owner: Ownership): boolean {
    return !this.owns(owner) || (this.lease !== undefined && this.lease !== `${owner.nonce}:${owner.epoch}`);
  }

  #finish(state: ConversationState, reason: string): void {
    this.state = state;
    this.endReason = reason;
    this.ends += 1;
  }
}

let conversations = 0;
let nonces = 0;
const newNonce = (): string => `nonce-${(nonces += 1)}`.padEnd(22, '-');

class Play {
  readonly id = `m${(conversations += 1)}`;
  readonly model = new Model();
  /** Whoever owned it once, in that order. */
  readonly owners: Ownership[] = [];
  readonly #believes = new Map<string, Ownership>();

  async worker(name: string, step: WorkerStep): Promise<void> {
    const { model, id } = this;
    const nonce = newNonce();
    if (step === 'acquire') {
      const got = await leases.acquire(id, name, nonce);
      const expected = model.acquire(nonce);
      this.#became(name, got);
      return this.#check('refused' in got ? got.refused : 'owned', expected);
    }
    const owner = this.#believes.get(name);
    if (!owner) return;
    if (step === 'recover') {
      const got = await leases.recover(owner, name, false, nonce);
      const expected = model.recover(owner, nonce);
      this.#became(name, got);
      return this.#check('refused' in got ? got.refused : 'owned', expected);
    }
    await this.#check(...(await this.#owned(owner, step)));
  }

  async backend(step: BackendStep): Promise<void> {
    const { model, id } = this;
    if (step === 'withdraw') return this.#check(await records.failUnowned(id, 'start-failed'), model.withdraw());
    await this.#check(await records.desire(id, step), model.desire(step));
  }

  /** A lease runs out: its owner was silent for too long. */
  async expire(): Promise<void> {
    await redis.del(keys.conversation(this.id).lease);
    this.model.lease = undefined;
    await this.#check('', '');
  }

  /** As the product does: the next owner finishes it. Then every former one tries everything. */
  async toTheEnd(): Promise<void> {
    if (!isFinal(this.model.state)) {
      await this.expire();
      await this.worker('heir', 'acquire');
      await this.worker('heir', 'stopping');
      await this.worker('heir', 'end');
    }
    assert(isFinal(this.model.state));
    const before = await records.get(this.id);
    for (const owner of this.owners) {
      for (const step of workerSteps) {
        if (step === 'acquire' || step === 'recover') continue;
        await this.#check(...(await this.#owned(owner, step)));
      }
      assert('refused' in (await leases.recover(owner, 'late', false)));
    }
    assert.deepEqual(await leases.acquire(this.id, 'late'), { refused: 'final' });
    const after = await records.get(this.id);
    assert.deepEqual([after?.state, after?.endReason, after?.epoch], [before?.state, before?.endReason, before?.epoch]);
    const told = (await events.read(this.id, '0', 2_000)).events;
    assert.equal(told.filter(({ type }) => type === 'ended').length, 1);
    const epochs = told.map(({ epoch }) => epoch);
    assert.deepEqual(
      epochs,
      epochs.toSorted((a, b) => a - b),
    );
    await redis.zrem(keys.fleet.leases, this.id);
  }

  async #owned(owner: Ownership, step: Exclude<WorkerStep, 'acquire' | 'recover'>): Promise<[Answer, Answer]> {
    const { model } = this;
    switch (step) {
      case 'renew': {
        const got = (await leases.renewAll([owner])).get(this.id);
        return [got?.status === 'held' ? `held ${got.desired ?? ''}` : (got?.status ?? 'none'), model.renew(owner)];
      }
      case 'release':
        return [await leases.release(owner), model.release(owner)];
      case 'end':
        return [await records.end(owner, 'internal'), model.move(owner, finalState('internal'), 'internal')];
      case 'event': {
        const written = await events.append(owner, { type: 'message', data: { fromId: 'x', message: 1 } });
        return [String(written !== undefined), String(model.owns(owner))];
      }
      default:
        return [await records.move(owner, step), model.move(owner, step)];
    }
  }

  #became(name: string, got: { readonly ownership: Ownership } | { readonly refused: string }): void {
    if ('refused' in got) return;
    this.#believes.set(name, got.ownership);
    this.owners.push(got.ownership);
  }

  async #check(answered: Answer, expected: Answer): Promise<void> {
    const { model, id } = this;
    const [record, lease, nonce] = await Promise.all([
      records.get(id),
      redis.get(keys.conversation(id).lease),
      redis.hget(keys.conversation(id).record, 'ownerNonce'),
    ]);
    const known = { answered, state: record?.state, epoch: record?.epoch, endReason: record?.endReason, lease, nonce };
    assert.deepEqual(known, {
      answered: expected,
      state: model.state,
      epoch: model.epoch,
      endReason: model.endReason,
      lease: model.lease ?? null,
      nonce: model.nonce ?? null,
    });
    assert(model.ends <= 1);
  }
}

const ofWorker = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<WorkerStep>('acquire') },
    { weight: 5, arbitrary: fc.constantFrom(...workerSteps) },
  ),
  { maxLength: 9, size: 'max' },
);

it(
  `${RUNS} plays: one owner, terminal is final, each is ended, never by a stale epoch`,
  { timeout: 900_000 },
  async () => {
    const seen = { takenOver: 0, endedByBackend: 0, stale: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.tuple(ofWorker, ofWorker, ofWorker),
        fc.array(fc.constantFrom(...backendSteps), { maxLength: 3 }),
        fc.nat({ max: 4 }),
        async (s, workers, backend, expiries) => {
          const play = new Play();
          await records.create({ request, createdBy: 'k', conversationId: play.id });
          const sequences = [
            ...workers.map((steps, n) => steps.map((step) => () => play.worker(`w${n}`, step))),
            backend.map((step) => () => play.backend(step)),
            Array.from({ length: expiries }, () => () => play.expire()),
          ];
          const done = sequences.map(
            (steps, n) => s.scheduleSequence(steps.map((builder, at) => ({ builder, label: `${n}.${at}` }))).task,
          );
          await s.waitAll();
          for (const { faulty } of await Promise.all(done)) expect(faulty).toBe(false);
          if (play.model.epoch > 1) seen.takenOver += 1;
          if (play.model.epoch === 0 && isFinal(play.model.state)) seen.endedByBackend += 1;
          if (play.owners.length > 1) seen.stale += 1;
          await play.toTheEnd();
        },
      ),
      { numRuns: RUNS },
    );
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(RUNS / 50); // or all this proves little
  },
);
