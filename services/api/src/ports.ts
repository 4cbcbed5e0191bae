import type {
  ConversationRecord,
  ConversationState,
  EndReason,
  EventEnvelope,
  InboundFrame,
  SettingsChanged,
  SettingsDelta,
  StartRequest,
  WorkerView,
} from '@tavus-fleet/contracts';

/**
 * What the routes need of the outside, each no wider than its user. The real ones stand in redis/ and reject with
 * `FleetError('redis-unavailable')` within a deadline; the tests bring fakes of a page.
 */

export type Page = {
  readonly records: readonly ConversationRecord[];
  /** Absent on the last page. */ readonly cursor?: string;
};
type Query = { createdBy: readonly string[]; state?: ConversationState; cursor?: string; limit: number };

export interface Conversations {
  /** Writes the record in state `queued`; `exists` when the id was ever used, by anybody, with the record that has it. */
  create(input: {
    request: StartRequest;
    createdBy: string;
    conversationId: string;
  }): Promise<{ outcome: 'created' | 'exists'; record: ConversationRecord }>;
  get(conversationId: string): Promise<ConversationRecord | undefined>;
  /** Its place among those that wait for a worker; undefined when it does not any more. */
  place(conversationId: string): Promise<{ readonly position: number; readonly ageMs: number } | undefined>;
  /** Those of the given makers, newest first. A page may be short and still have a cursor. */
  list(query: Query): Promise<Page>;
  /** Asks for the end: `final` and `accepted` by this call, `already` by an earlier one, `over`: it ended without having been asked. */
  desire(
    conversationId: string,
    verb: 'stop' | 'cancel',
    reason?: string,
  ): Promise<'accepted' | 'final' | 'already' | 'over' | 'absent'>;
  /** Ends a queued conversation that nobody ever owned. */
  failUnowned(conversationId: string, endReason: EndReason): Promise<'ended' | 'refused' | 'absent'>;
  /** Merges the delta and tells the owner. */
  updateSettings(
    conversationId: string,
    delta: SettingsDelta,
  ): Promise<{ outcome: 'changed'; changed: SettingsChanged } | { outcome: 'final' | 'absent' }>;
}

export interface Jobs {
  /** Adds the wake-up; adding it again while it waits changes nothing. */
  start(conversationId: string): Promise<void>;
}

export type Claim = {
  readonly createdBy: string;
  readonly idempotencyKey: string;
  readonly requestHash: string;
  readonly conversationId: string;
};

export interface Idempotency {
  /** Keeps the claim for 24 h unless one is there; answers whose conversation counts: `new` is ours. */
  claim(claim: Claim): Promise<{ readonly outcome: 'new' | 'same' | 'different'; readonly conversationId: string }>;
  /** Forgets the claim, so that the key may be sent again. */
  release(claim: Pick<Claim, 'createdBy' | 'idempotencyKey'>): Promise<void>;
}

export interface Frames {
  /** Appends to the conversation's frames stream; answers the entry's id. Rejects with `stream-full` when the reader is too far behind. */
  append(conversationId: string, frame: InboundFrame): Promise<string>;
  /** The same for a producer that counts its messages; undefined when that number is in the stream already. */
  appendNumbered(
    conversationId: string,
    frame: InboundFrame,
    message: { readonly producer: string; readonly number: number },
  ): Promise<string | undefined>;
  /** Number of that producer's last message in the stream; 0 = none. */
  accepted(conversationId: string, producer: string): Promise<number>;
}

export interface Events {
  /** Events after that id, oldest first, at most `count`; `lastId` is where the next page starts. */
  read(
    conversationId: string,
    afterId: string,
    count: number,
  ): Promise<{ readonly events: readonly EventEnvelope[]; readonly lastId: string }>;
  /** Calls back when there are events after that id; the answer stops it. */
  watch(conversationId: string, afterId: string, onNews: () => void): () => void;
}

/** What Tavus called back with: equal `mark`s are taken once. */
export type Notice = {
  readonly tavusConversationId: string;
  readonly mark: string;
  readonly shutdownReason?: string;
  readonly message?: unknown;
};

export interface Notices {
  /** `stale`: of a call that is not the conversation's any more; `full`: more than any call has. */
  take(conversationId: string, notice: Notice): Promise<'taken' | 'seen' | 'stale' | 'full' | 'absent'>;
}

export interface Personas {
  getPersona(personaId: string, signal: AbortSignal): Promise<{ readonly personaName: string }>;
}

export interface Workers {
  list(): Promise<readonly WorkerView[]>;
  /** Answers false when no such worker is alive. */
  drain(workerId: string): Promise<boolean>;
}

export interface Health {
  /** Resolves when Redis answers; rejects with `redis-unavailable` otherwise. */
  check(): Promise<void>;
}
