import { parseMessage, type KnownMessage } from './messages.ts';

/** Somebody in the Tavus room began or ended speaking, by Tavus' word. */
export type SpeakingEvent = {
  readonly kind: 'replica-started' | 'replica-stopped' | 'user-started' | 'user-stopped';
  readonly inferenceId?: string;
  readonly durationS?: number;
  readonly interrupted?: boolean;
  readonly seq?: number;
};

type Said = {
  readonly event: SpeakingEvent;
  /** Which of the wordings of one fact this is. */ readonly wording: string;
};
type Remembered = {
  readonly kind: SpeakingEvent['kind'];
  readonly at: number;
  inferenceId: string | undefined;
  readonly wordings: Set<string>;
};

// Both wordings of a fact leave Tavus together; two facts of one kind need a whole utterance between them.
const PAIR_MS = 1_000;
const REMEMBER_MAX = 8;

/**
 * One event per fact. Since April 2026 Tavus says each twice: in the old wording (`conversation.replica.started_speaking`) and
 * in the unified one (`conversation.started_speaking` with a role, `replica` and after the rename also `pal`). The first to come counts.
 */
export class SpeakingEvents {
  readonly #recent: Remembered[] = [];

  /** The speaking event in an app-message; undefined when it is something else or a second wording of what was said before. */
  accept(message: unknown, nowMs: number): SpeakingEvent | undefined {
    const parsed = parseMessage(message);
    const said = parsed.known ? speakingOf(parsed.message) : undefined;
    if (!said) return undefined;
    const { kind, inferenceId } = said.event;
    const twin = this.#recent.find(
      (one) =>
        one.kind === kind &&
        nowMs - one.at <= PAIR_MS &&
        !one.wordings.has(said.wording) &&
        (one.inferenceId === undefined || inferenceId === undefined || one.inferenceId === inferenceId),
    );
    if (twin) {
      twin.wordings.add(said.wording);
      twin.inferenceId ??= inferenceId;
      return undefined;
    }
    this.#recent.push({ kind, at: nowMs, inferenceId, wordings: new Set([said.wording]) });
    if (this.#recent.length > REMEMBER_MAX) this.#recent.shift();
    return said.event;
  }
}

function speakingOf(message: KnownMessage): Said | undefined {
  switch (message.event_type) {
    case 'conversation.replica.started_speaking':
      return said('replica-started', message, 'old');
    case 'conversation.replica.stopped_speaking':
      return said('replica-stopped', message, 'old');
    case 'conversation.user.started_speaking':
      return said('user-started', message, 'old');
    case 'conversation.user.stopped_speaking':
      return said('user-stopped', message, 'old');
    case 'conversation.started_speaking':
      return said(
        message.properties.role === 'user' ? 'user-started' : 'replica-started',
        message,
        message.properties.role,
      );
    case 'conversation.stopped_speaking':
      return said(
        message.properties.role === 'user' ? 'user-stopped' : 'replica-stopped',
        message,
        message.properties.role,
      );
    default:
      return undefined;
  }
}

function said(
  kind: SpeakingEvent['kind'],
  message: {
    seq?: number | undefined;
    inference_id?: string | null | undefined;
    properties?: { duration?: number | null | undefined; interrupted?: boolean | null | undefined } | null | undefined;
  },
  wording: string,
): Said {
  const { duration, interrupted } = message.properties ?? {};
  const event = {
    kind,
    ...(message.inference_id ? { inferenceId: message.inference_id } : {}),
    ...(typeof duration === 'number' ? { durationS: duration } : {}),
    ...(typeof interrupted === 'boolean' ? { interrupted } : {}),
    ...(message.seq === undefined ? {} : { seq: message.seq }),
  };
  return { event, wording };
}
