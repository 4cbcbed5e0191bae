import {
  ConversationRecord,
  FleetError,
  frameFields,
  StartRequest,
  splitRequest,
  type AudioEntry,
  type InboundFrame,
  type OutboundEvent,
  type StartRequestInput,
  type UserAudioEntry,
  type VideoEntry,
} from '@tavus-fleet/contracts';
import { FakeClock } from '@tavus-fleet/lifecycle';
import { compareIds } from '@tavus-fleet/redis';
import { FakeRooms, type FakeRoom, type Participant } from '@tavus-fleet/rooms';
import type { Created, SessionRow } from './conversations.ts';
import type { SessionDeps, SessionProgress } from './deps.ts';
import type { Ending } from './ending.ts';
import type { Entry } from './frames-in.ts';
import { Session } from './session.ts';
import type { Succession } from './succession.ts';

export const replica: Participant = { id: 'replica', userId: 'tavus-replica-1', local: false, tracks: {} };

export type WorldOptions = {
  readonly skewMs?: number;
  readonly ageMs?: number;
  readonly epoch?: number;
  /** What its predecessor left in the record. */
  readonly record?: Partial<ConversationRecord>;
  readonly succession?: Succession;
  readonly rows?: SessionRow[];
  /** Tavus conversations that run already. */
  readonly open?: readonly string[];
};

export function entryOf(id: string, frame: InboundFrame): Entry {
  const fields = frameFields(frame);
  const bytes = (field: string | Uint8Array | undefined): Uint8Array =>
    typeof field === 'string' ? new TextEncoder().encode(field) : (field ?? new Uint8Array());
  const pairs = Array.from(
    { length: fields.length / 2 },
    (_, i) => [String(fields[2 * i]), bytes(fields[2 * i + 1])] as const,
  );
  return { id, fields: new Map(pairs) };
}

/** A real session on fakes of its ports: Redis, Tavus, rooms and the clock. Every call is in `log`, in order. */
export class SessionWorld {
  readonly clock = new FakeClock();
  readonly rooms = new FakeRooms(this.clock);
  readonly log: string[] = [];
  readonly events: OutboundEvent[] = [];
  readonly ages: number[] = [];
  readonly audio: AudioEntry[] = [];
  readonly userAudio: UserAudioEntry[] = [];
  readonly video: VideoEntry[] = [];
  readonly tavusOpen = new Set<string>();
  /** Held back until called, when set before. */
  creating: Promise<void> | undefined;
  redisDown = false;
  outputsDown = false;
  fenced = false;
  /** Only the last move is: it was lost in between. */
  fencedAtEnd = false;
  /** The last owner's last word was that the avatar speaks. */
  leftSpeaking = false;
  /** Redis' clock minus ours. */
  skewMs = 0;
  replicaShows = true;
  /** In the Tavus room before us. */
  readonly present: Participant[] = [];
  subscribers = 0;
  ending: Ending | undefined;
  readonly session: Session;
  /** What earlier owners left in the ledger, and what Tavus knows; `tavusOpen` says which of them still run. */
  rows: SessionRow[] = [];
  /** Active at Tavus, by name: what a list shows. */
  readonly tavusNamed = new Map<string, string>();
  saved: SessionProgress | undefined;
  replacements: number | undefined;
  /** Why a conversation that is not open is over. */
  why: string | undefined;
  /** What is in the frames stream. */
  readonly stored: Entry[] = [];
  /** Id of the newest entry, when it is not the last of those that were handed out. */
  tail: string | undefined;
  #creates = 0;
  #entryId = 0;
  #onEntries: ((entries: readonly Entry[]) => void) | undefined;

  constructor(request: Partial<StartRequestInput> = {}, options: WorldOptions = {}) {
    this.skewMs = options.skewMs ?? 0;
    for (const id of options.open ?? []) this.tavusOpen.add(id);
    this.rows = options.rows ?? [];
    this.rooms.prepare = (room) => {
      room.participants = [replica, ...this.present];
      room.on(() => undefined); // Emitter counts; never the last
    };
    this.session = new Session(
      this.#deps(
        StartRequest.parse({ replicaId: 'r1', output: { room: { url: 'https://acme.daily.co/room' } }, ...request }),
        options,
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
    const entries = frames.map((frame) => entryOf(`${this.clock.now() + this.skewMs}-${this.#entryId++}`, frame));
    this.stored.push(...entries);
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

  #output<T>(stream: T[], entries: readonly T[]): boolean {
    if (this.outputsDown) throw new FleetError('redis-unavailable', 'Redis does not answer.');
    stream.push(...entries);
    return true;
  }

  #deps(
    request: StartRequest,
    { ageMs = 0, epoch = 1, record: left = {}, succession = {} }: WorldOptions,
  ): SessionDeps {
    const { spec, secrets } = splitRequest(request);
    const redisNowMs = this.clock.now() + this.skewMs;
    const record = ConversationRecord.parse({
      conversationId: 'c1',
      state: 'queued',
      epoch,
      createdBy: 'k',
      spec,
      createdAt: redisNowMs - ageMs,
      ...left,
    });
    const written = <T extends string>(what: string, ok: T): T | 'fenced' => {
      this.#redis(what);
      return this.fenced ? 'fenced' : ok;
    };
    return {
      workerId: 'w1',
      record,
      ownership: { conversationId: 'c1', epoch, nonce: 'n'.repeat(16) },
      redisNowMs,
      succession,
      records: {
        secrets: async () => (
          this.#redis('secrets'),
          { ...secrets, ...(epoch > 1 ? { conversationUrl: 'https://tavus.daily.co/t1' } : {}) }
        ),
        created: async ({ conversationId }, replacements) => {
          this.replacements = replacements;
          return written(`created ${conversationId}`, 'patched');
        },
        moveTo: async (state) => written(state, 'moved'),
        stopping: async () => written('stopping', 'moved'),
        checkpoint: async (at) => ((this.saved = at), written('checkpoint', 'patched')),
        end: async (reason) => (this.fencedAtEnd ? 'fenced' : written(`end ${reason}`, 'moved')),
        append: async (event) => {
          const ok = written(`event ${event.type}`, 'ok') === 'ok';
          if (ok) this.events.push(event);
          return ok;
        },
        leftSpeaking: async () => (this.#redis('speaking'), this.leftSpeaking),
      },
      frames: {
        subscribe: (from, onEntries) => {
          this.subscribers += 1;
          this.#onEntries = onEntries;
          const waiting = this.stored.filter(({ id }) => compareIds(id, from) > 0);
          if (waiting.length > 0) void Promise.resolve().then(() => this.#onEntries?.(waiting));
          return () => {
            this.subscribers -= 1;
            this.#onEntries = undefined;
          };
        },
        newest: async () => (this.#redis('newest'), this.tail ?? this.stored.at(-1)?.id ?? '0-0'),
        read: async (ids) => this.stored.filter(({ id }) => ids.includes(id)),
      },
      mediaOut: {
        audio: async (entries) => this.#output(this.audio, entries),
        userAudio: async (entries) => this.#output(this.userAudio, entries),
        video: async (entries) => this.#output(this.video, entries),
      },
      tavus: {
        create: async (): Promise<Created> => {
          await this.creating;
          this.#creates += 1;
          // A successor's first is t2: t1 is what it found.
          const id = `t${this.#creates + (epoch > 1 ? 1 : 0)}`;
          this.tavusOpen.add(id);
          this.log.push('tavus create');
          return { conversationId: id, conversationUrl: `https://tavus.daily.co/${id}` };
        },
        findActive: async () => undefined,
        look: async (id) => {
          this.log.push(`tavus look ${id}`);
          if (this.tavusOpen.has(id)) return { active: true, conversationUrl: `https://tavus.daily.co/${id}` };
          return { active: false, ...(this.why === undefined ? {} : { why: this.why }) };
        },
        active: async () => {
          this.log.push('tavus list');
          return new Map(
            [...this.tavusNamed].map(([name, id]) => [
              name,
              { conversationId: id, conversationUrl: `https://tavus.daily.co/${id}` },
            ]),
          );
        },
        end: async (id) => {
          this.log.push(`tavus end ${id}`);
          this.tavusOpen.delete(id);
          for (const [name, open] of this.tavusNamed) if (open === id) this.tavusNamed.delete(name);
        },
        personaName: async () => 'persona',
      },
      ledger: {
        intend: async () => ({ outcome: 'ok', name: 'n1' }),
        adopted: async () => undefined,
        rows: async () => (this.#redis('rows'), this.rows),
        closed: async (name) => {
          this.log.push(`closed ${name}`);
          this.rows = this.rows.filter((row) => row.name !== name);
        },
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
