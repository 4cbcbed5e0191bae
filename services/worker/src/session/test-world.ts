import {
  ConversationRecord,
  FleetError,
  frameFields,
  StartRequest,
  splitRequest,
  type InboundFrame,
  type OutboundEvent,
  type StartRequestInput,
} from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { FakeRooms, type FakeRoom, type Participant } from '@tavus-fleet/rooms';
import type { AvatarBlock } from './avatar-stream.ts';
import type { Created } from './conversations.ts';
import type { SessionDeps } from './deps.ts';
import type { Ending } from './ending.ts';
import type { Entry } from './frames-in.ts';
import { Session } from './session.ts';

export const replica: Participant = { id: 'replica', userId: 'tavus-replica-1', local: false, tracks: {} };

/** A real session on fakes of its ports: Redis, Tavus, rooms and the clock. Every call is in `log`, in order. */
export class SessionWorld {
  readonly clock = new FakeClock();
  readonly rooms = new FakeRooms(this.clock);
  readonly log: string[] = [];
  readonly events: OutboundEvent[] = [];
  readonly ages: number[] = [];
  readonly audio: AvatarBlock[] = [];
  readonly tavusOpen = new Set<string>();
  /** Held back until called, when set before. */
  creating: Promise<void> | undefined;
  redisDown = false;
  audioDown = false;
  fenced = false;
  /** Redis' clock minus ours. */
  skewMs = 0;
  replicaShows = true;
  subscribers = 0;
  ending: Ending | undefined;
  readonly session: Session;
  #entryId = 0;
  #onEntries: ((entries: readonly Entry[]) => void) | undefined;

  constructor(request: Partial<StartRequestInput> = {}, options: { skewMs?: number; ageMs?: number } = {}) {
    this.skewMs = options.skewMs ?? 0;
    this.rooms.prepare = (room) => {
      room.participants = [replica];
      room.on(() => undefined); // Emitter counts; never the last
    };
    this.session = new Session(
      this.#deps(
        StartRequest.parse({ replicaId: 'r1', output: { room: { url: 'https://acme.daily.co/room' } }, ...request }),
        options.ageMs ?? 0,
      ),
    );
  }

  get room(): FakeRoom {
    return this.rooms.last;
  }

  run(): void {
    void this.session.run().then((ending) => (this.ending = ending));
  }

  /** Lets it become live: the replica's picture arrives. */
  async live(): Promise<void> {
    this.run();
    await this.clock.pass(10);
    this.room.emit({ type: 'video-arrived' });
    await this.clock.pass(10);
    if (this.session.state !== 'live') throw new Error(`The session is ${this.session.state}.`);
  }

  send(...frames: InboundFrame[]): void {
    const entries = frames.map((frame) => {
      const fields = frameFields(frame);
      const bytes = (field: string | Uint8Array | undefined): Uint8Array =>
        typeof field === 'string' ? new TextEncoder().encode(field) : (field ?? new Uint8Array());
      return {
        id: `${this.clock.now() + this.skewMs}-${this.#entryId++}`,
        fields: new Map(
          Array.from({ length: fields.length / 2 }, (_, i) => [String(fields[2 * i]), bytes(fields[2 * i + 1])]),
        ),
      };
    });
    this.#onEntries?.(entries);
  }

  /** Whatever a session must not leave behind. */
  stillOpen(): string[] {
    return [
      ...(this.clock.pending > 0 ? [`${this.clock.pending} timers`] : []),
      ...this.rooms.opened.filter((room) => !room.isClosed).map(() => 'page'),
      ...(this.subscribers > 0 ? ['subscription'] : []),
      ...[...this.tavusOpen].map((id) => `Tavus ${id}`),
      ...this.rooms.opened.flatMap((room) => room.listenerErrors.map(String)),
    ];
  }

  #redis(what: string): void {
    if (this.redisDown) throw new FleetError('redis-unavailable', 'Redis does not answer.');
    this.log.push(what);
  }

  #deps(request: StartRequest, ageMs: number): SessionDeps {
    const { spec, secrets } = splitRequest(request);
    const redisNowMs = this.clock.now() + this.skewMs;
    const record = ConversationRecord.parse({
      conversationId: 'c1',
      state: 'queued',
      epoch: 1,
      createdBy: 'k',
      spec,
      createdAt: redisNowMs - ageMs,
    });
    const written = <T extends string>(what: string, ok: T): T | 'fenced' => {
      this.#redis(what);
      return this.fenced ? 'fenced' : ok;
    };
    return {
      workerId: 'w1',
      record,
      ownership: { conversationId: 'c1', epoch: 1, nonce: 'n'.repeat(16) },
      redisNowMs,
      records: {
        secrets: async () => (this.#redis('secrets'), secrets),
        created: async ({ conversationId }) => written(`created ${conversationId}`, 'patched'),
        moveTo: async (state) => written(state, 'moved'),
        checkpoint: async () => written('checkpoint', 'patched'),
        end: async (reason) => written(`end ${reason}`, 'moved'),
        append: async (event) => {
          const ok = written(`event ${event.type}`, 'ok') === 'ok';
          if (ok) this.events.push(event);
          return ok;
        },
      },
      frames: {
        subscribe: (_, onEntries) => {
          this.subscribers += 1;
          this.#onEntries = onEntries;
          return () => {
            this.subscribers -= 1;
            this.#onEntries = undefined;
          };
        },
        newest: async () => (this.#redis('newest'), '0-0'),
        read: async () => [],
      },
      appendAudio: async (blocks) => {
        if (this.audioDown) throw new FleetError('redis-unavailable', 'Redis does not answer.');
        this.audio.push(...blocks);
      },
      tavus: {
        create: async (): Promise<Created> => {
          await this.creating;
          this.tavusOpen.add('t1');
          this.log.push('tavus create');
          return { conversationId: 't1', conversationUrl: 'https://tavus.daily.co/t1' };
        },
        findActive: async () => undefined,
        end: async (id) => {
          this.log.push(`tavus end ${id}`);
          this.tavusOpen.delete(id);
        },
        personaName: async () => 'persona',
      },
      ledger: {
        intend: async () => ({ outcome: 'ok', name: 'n1' }),
        adopted: async () => undefined,
        closed: async () => undefined,
      },
      rooms: this.rooms,
      userRoomHosts: ['*.daily.co'],
      meters: {
        ttfb: () => undefined,
        dropped: () => undefined,
        started: () => undefined,
        ended: (reason) => this.log.push(`ended ${reason}`),
        frameAge: (seconds) => this.ages.push(seconds),
      },
      clock: this.clock,
      log: { info: () => undefined, warn: () => undefined },
    };
  }
}
