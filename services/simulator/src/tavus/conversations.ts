import { randomBytes } from 'node:crypto';
import type { Faults } from '../faults.ts';
import { Conversation } from './conversation.ts';
import type { ConversationPorts, EndCause } from './conversation-ports.ts';
import type { Catalog } from './catalog.ts';
import { tavusErrors } from './errors.ts';
import { LIMITS } from './limits.ts';
import { Recordings } from './recordings.ts';
import type { CreateConversation, ListQuery } from './requests.ts';

export type Joined = (conversation: Conversation, who: 'replica' | 'participant') => void;

type Ports = Omit<ConversationPorts, 'neverJoins' | 'joined' | 'recorded'> & {
  readonly catalog: Catalog;
  readonly faults: Faults;
};

/**
 * The account: every conversation, in order of creation, and the plan's limit on how many are active. It hands the
 * rooms' presence to the conversation whose room it is. Deleted ones leave the REST listing but not the table, since
 * what was billed must stay explainable in /sim/state.
 */
export class Conversations {
  readonly recordings = new Recordings();
  readonly #ports: Ports;
  readonly #all = new Map<string, Conversation>();
  readonly #deleted = new Set<string>();
  readonly #stopListening: () => void;
  #joined: Joined = () => {};

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#stopListening = ports.rooms.onPresence((event) => this.#all.get(event.room)?.presence(event));
  }

  /** The one who strikes when somebody joins (room faults); set once, by the composition. */
  onJoined(listener: Joined): void {
    this.#joined = listener;
  }

  /** Throws TavusError: unknown persona or replica, plan full. The conversation runs, and is billed, on return. */
  create(request: CreateConversation): Conversation {
    const { replicaId, persona } = this.#ports.catalog.resolve(request.replica, request.persona);
    const { planConcurrency, planMaxCallSeconds, conversationUrlBase } = this.#ports.settings.current;
    // A test conversation holds no slot (documented).
    if (!request.testMode && planConcurrency !== null && this.active().length >= planConcurrency)
      throw tavusErrors.concurrency();
    const id = `c${randomBytes(8).toString('hex').slice(0, 15)}`;
    const conversation = new Conversation(
      {
        id,
        name: request.name,
        url: `${conversationUrlBase}/${id}`,
        callbackUrl: request.callbackUrl,
        replicaId,
        persona,
        audioOnly: request.audioOnly,
        maxParticipants: request.maxParticipants,
        // Capped without a word (documented lately).
        maxCallSeconds: Math.min(request.maxCallSeconds, planMaxCallSeconds ?? LIMITS.maxCallSeconds),
        leftSeconds: request.leftSeconds,
        absentSeconds: request.absentSeconds,
      },
      {
        ...this.#ports,
        neverJoins: (one) => this.#ports.faults.take('replica-never-joins', one.subject) !== undefined,
        joined: (one, who) => this.#joined(one, who),
        recorded: (one, recording) => this.recordings.put(one.spec.id, recording),
      },
    );
    this.#all.set(id, conversation);
    this.#forgetOldest();
    if (request.testMode) conversation.beginAsTest();
    else conversation.begin();
    return conversation;
  }

  /** As REST knows it: undefined for deleted ones too. */
  find(id: string): Conversation | undefined {
    return this.#deleted.has(id) ? undefined : this.#all.get(id);
  }

  /** Deleted ones included. */
  known(id: string): Conversation | undefined {
    return this.#all.get(id);
  }

  /** Deleted ones included. */
  all(): readonly Conversation[] {
    return [...this.#all.values()];
  }

  active(): readonly Conversation[] {
    return this.all().filter((conversation) => conversation.status === 'active');
  }

  /** Newest first (our guess: no order is documented). */
  list(query: ListQuery): { rows: readonly Conversation[]; total: number } {
    const fitting = this.all()
      .filter((one) => !this.#deleted.has(one.spec.id) && (query.status === undefined || one.status === query.status))
      .toReversed();
    const from = (query.page - 1) * query.limit;
    return { rows: fitting.slice(from, from + query.limit), total: fitting.length };
  }

  /** Ends it if it runs (our choice: Tavus says nothing) and takes it out of the listing; `hard` forgets the recording. */
  delete(conversation: Conversation, hard: boolean): void {
    conversation.end({ endedBy: 'conversation_deleted' });
    this.#deleted.add(conversation.spec.id);
    if (hard) void conversation.finished().then(() => this.recordings.delete(conversation.spec.id));
  }

  /** Ends all; resolves when every replica has gone. May be called twice. */
  async close(cause: EndCause = { endedBy: 'simulator_closed' }): Promise<void> {
    this.#stopListening();
    for (const conversation of this.active()) conversation.end(cause);
    await Promise.all(this.all().map((conversation) => conversation.finished()));
  }

  #forgetOldest(): void {
    if (this.#all.size <= LIMITS.endedConversations) return;
    for (const conversation of this.#all.values()) {
      if (conversation.status === 'active') continue;
      this.#all.delete(conversation.spec.id);
      this.#deleted.delete(conversation.spec.id);
      this.recordings.delete(conversation.spec.id);
      return;
    }
  }
}
