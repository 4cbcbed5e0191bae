import { withDeadline, type Timer } from '@tavus-fleet/lifecycle';
import type { FaultSubject } from '../faults.ts';
import type { Replica } from '../ports.ts';
import type {
  ConversationPorts,
  ConversationSpec,
  EndCause,
  PresenceEvent,
  RecordedCall,
} from './conversation-ports.ts';
import { LIMITS } from './limits.ts';
import type { Recording } from './recordings.ts';
import { microsecondTime } from './time.ts';
import { transcriptOf } from './transcript.ts';
import type { TavusEvent } from './webhooks.ts';

/**
 * One conversation: its room, its replica, its three timers and its bill. Two states, `active` and `ended`, and one way
 * from the first to the second: `end`, first caller wins. Invariant: after `end` no timer, no replica and no meter of
 * this conversation runs, whatever was under way at that moment.
 */
export class Conversation {
  readonly spec: ConversationSpec;
  readonly createdAtMs: number;
  readonly calls: RecordedCall[] = [];
  readonly events: TavusEvent[] = [];
  readonly #ports: ConversationPorts;
  readonly #present = new Set<string>();
  readonly #timers = new Set<Timer>();
  readonly #starting = new AbortController();
  #leftTimer: Timer | undefined;
  #absentTimer: Timer | undefined;
  #replica: Replica | undefined;
  #ended: { readonly by: string; readonly atMs: number } | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(spec: ConversationSpec, ports: ConversationPorts) {
    this.spec = spec;
    this.#ports = ports;
    this.createdAtMs = ports.clock.now();
  }

  get status(): 'active' | 'ended' {
    return this.#ended === undefined ? 'active' : 'ended';
  }

  get ended(): { readonly by: string; readonly atMs: number } | undefined {
    return this.#ended;
  }

  /** What faults are matched against. */
  get subject(): FaultSubject {
    return { id: this.spec.id, name: this.spec.name };
  }

  /** The running replica; undefined before it has joined and after the end. */
  get replica(): Replica | undefined {
    return this.#ended === undefined ? this.#replica : undefined;
  }

  /** What the replica heard and was told so far; undefined before it came, and after it was handed to `recorded`. */
  async recording(): Promise<Recording | undefined> {
    const replica = this.#replica;
    if (replica === undefined) return undefined;
    const heard = await withDeadline({ ms: LIMITS.replicaDeadlineMs, what: 'reading what the replica heard' }, () =>
      replica.heard(),
    );
    return { heard, messages: replica.messages() };
  }

  record(call: RecordedCall): void {
    if (this.calls.length >= LIMITS.callsPerConversation) this.calls.shift();
    this.calls.push(call);
  }

  /** Free of charge and over before it began (documented): no room, no replica, no webhook. */
  beginAsTest(): void {
    this.#ended = { by: 'test_mode', atMs: this.createdAtMs };
  }

  begin(): void {
    const { spec } = this;
    this.#ports.meter.start(spec.id, this.createdAtMs);
    this.#ports.rooms.open({
      name: spec.id,
      ...(spec.maxParticipants === undefined ? {} : { maxParticipants: spec.maxParticipants }),
    });
    this.later(spec.maxCallSeconds * 1_000, () => this.end({ endedBy: this.#reached('max_call_duration') }));
    this.#absentTimer = this.later(spec.absentSeconds * 1_000, () =>
      this.end({ endedBy: this.#reached('participant_absent_timeout') }),
    );
    this.later(this.#ports.settings.current.replicaJoinDelayMs, () => {
      // Asked at the last moment, so that the fault may also be set just after create.
      if (!this.#ports.neverJoins(this)) this.#work = this.#join();
    });
  }

  /** Calls back after `ms` unless the conversation has ended by then. */
  later(ms: number, callback: () => void): Timer {
    const timer = this.#ports.clock.after(ms, () => {
      this.#timers.delete(timer);
      if (this.#ended === undefined) callback();
    });
    this.#timers.add(timer);
    return timer;
  }

  /** The replica counts for nobody here: otherwise a conversation could never be empty. */
  presence(event: PresenceEvent): void {
    if (this.#ended !== undefined) return;
    if (event.isReplica) {
      if (event.kind === 'joined') this.#replicaJoined();
      return;
    }
    if (event.kind === 'joined') {
      this.#present.add(event.participant.sessionId);
      this.#drop(this.#absentTimer);
      this.#drop(this.#leftTimer);
      this.#ports.joined(this, 'participant');
    } else if (this.#present.delete(event.participant.sessionId) && this.#present.size === 0) {
      const end = (): void => void this.end({ endedBy: this.#reached('participant_left_timeout') });
      // 0 is Tavus' default and means at once.
      if (this.spec.leftSeconds === 0) end();
      else this.#leftTimer = this.later(this.spec.leftSeconds * 1_000, end);
    }
  }

  /** Ends it whatever it does; false if it had ended already. Returns before the replica is gone: see `finished`. */
  end(cause: EndCause): boolean {
    if (this.#ended !== undefined) return false;
    const { rooms, meter, clock, log } = this.#ports;
    const atMs = clock.now();
    this.#ended = { by: cause.endedBy, atMs };
    for (const timer of this.#timers) timer[Symbol.dispose]();
    this.#timers.clear();
    meter.stop(this.spec.id, atMs);
    this.#starting.abort(new Error('conversation ended'));
    if (cause.roomError === undefined) {
      // Those inside are thrown out, those who come later find no room: two different errors, as with a real room.
      const room = rooms.rooms().find((one) => one.name === this.spec.id);
      for (const participant of room?.participants ?? []) rooms.eject(this.spec.id, participant.sessionId);
    }
    rooms.close(this.spec.id, cause.roomError ?? 'no-room');
    this.#emit('system.shutdown', 'system', { shutdown_reason: cause.endedBy });
    this.#work = this.#work.then(() => this.#finish());
    log.info(
      { tavusConversationId: this.spec.id, endedBy: cause.endedBy, billedMs: Math.round(atMs - this.createdAtMs) },
      'conversation ended',
    );
    return true;
  }

  /** The replica goes, the conversation (and its bill) runs on. */
  loseReplica(): void {
    const replica = this.#replica;
    if (replica !== undefined) this.#work = this.#work.then(() => this.#stop(replica));
  }

  /** Resolves when nothing of this conversation is under way; never rejects. */
  async finished(): Promise<void> {
    await this.#work;
  }

  async #join(): Promise<void> {
    const { replicas, settings, log } = this.#ports;
    const { size, fps, replicaDelayMs, streamPolicy, replicaUserIdPrefix } = settings.current;
    try {
      const replica = await replicas.start(
        {
          conversationId: this.spec.id,
          room: this.spec.id,
          userId: `${replicaUserIdPrefix}-${this.spec.id}`,
          userName: this.spec.persona.name,
          hearing: this.spec.persona.hearing,
          width: size.width,
          height: size.height,
          fps,
          delayMs: replicaDelayMs,
          streamPolicy,
          audioOnly: this.spec.audioOnly,
        },
        this.#starting.signal,
      );
      if (this.#ended === undefined) {
        this.#replica = replica;
        this.#ports.joined(this, 'replica');
      } else await this.#stop(replica);
    } catch (cause) {
      if (this.#ended !== undefined) return;
      log.warn({ tavusConversationId: this.spec.id, reason: String(cause) }, 'replica could not start');
      this.end({ endedBy: 'exception_encountered_during_conversation_startup' });
    }
  }

  #replicaJoined(): void {
    // Both since the rename, same payload (documented): a client must deduplicate.
    this.#emit('system.replica_joined', 'system', {});
    this.#emit('system.pal_joined', 'system', {});
  }

  /** Stops first: the page hands over the last sound it heard when it goes. */
  async #finish(): Promise<void> {
    const replica = this.#replica;
    if (replica !== undefined) {
      await this.#stop(replica);
      try {
        const recording = await this.recording();
        if (recording !== undefined) this.#ports.recorded(this, recording);
      } catch (cause) {
        this.#ports.log.warn({ tavusConversationId: this.spec.id, reason: String(cause) }, 'recording lost');
      }
    }
    this.#replica = undefined;
    const transcript = transcriptOf(replica?.messages() ?? [], this.createdAtMs);
    this.#emit('application.transcription_ready', 'application', { transcript });
  }

  async #stop(replica: Replica): Promise<void> {
    try {
      await withDeadline({ ms: LIMITS.replicaDeadlineMs, what: 'stopping the replica' }, () => replica.stop());
    } catch (cause) {
      this.#ports.log.warn({ tavusConversationId: this.spec.id, reason: String(cause) }, 'replica did not stop');
    }
  }

  #emit(type: string, messageType: TavusEvent['message_type'], properties: Record<string, unknown>): void {
    const event: TavusEvent = {
      properties: { replica_id: this.spec.replicaId, face_id: this.spec.replicaId, ...properties },
      conversation_id: this.spec.id,
      webhook_url: this.spec.callbackUrl,
      event_type: type,
      message_type: messageType,
      timestamp: microsecondTime(this.#ports.clock.now()),
    };
    this.events.push(event);
    this.#ports.webhooks.send(event, this.subject);
  }

  #drop(timer: Timer | undefined): void {
    if (timer === undefined) return;
    timer[Symbol.dispose]();
    this.#timers.delete(timer);
  }

  /** The list of reasons has " reached", one example of the same page has not (documented contradiction). */
  #reached(timeout: string): string {
    return this.#ports.settings.current.reasonsSayReached ? `${timeout} reached` : timeout;
  }
}
