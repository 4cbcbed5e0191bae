import { z } from 'zod';
import { EndReason } from './end-reason.ts';
import { ErrorCategory } from './errors.ts';
import type { EntryFields, MalformedFrame } from './frames.ts';
import { SettingsChanged } from './settings.ts';
import { ConversationState } from './state.ts';

const Ms = z.number().nonnegative();
const Where = z.enum(['tavus', 'user']);
const Participant = z.object({
  room: Where,
  participantId: z.string(),
  userName: z.string().optional(),
  reason: z.string().optional(),
});

/** Only with `output.userAudio`: whose voice it is, as `user-audio` names it, and ms since 1970 on that stream's clock. */
const Speaker = z.object({ participantId: z.string(), atMs: Ms });

/** What a conversation tells its backend: one schema per type; the `json` field of an entry of `fleet:{id}:events`. */
export const eventPayloads = {
  state: z.object({ state: ConversationState, endReason: EndReason.optional() }),
  joined: z.object({ room: Where, participantId: z.string() }),
  'replica-joined': z.object({ participantId: z.string(), userName: z.string().optional() }),
  'replica-left': z.object({ participantId: z.string(), reason: z.string().optional() }),
  'participant-joined': Participant,
  'participant-left': Participant,
  'tts-started': z.object({ context: z.string().optional() }),
  'tts-stopped': z.object({ context: z.string().optional(), playedMs: Ms.optional() }),
  'bot-started-speaking': z.object({ source: z.enum(['tavus', 'audio']) }),
  'bot-stopped-speaking': z.object({ source: z.enum(['tavus', 'audio']) }),
  'user-started-speaking': Speaker,
  'user-stopped-speaking': Speaker,
  /** `context`: of the utterance that was cut, of which `playedMs` were played. `by`: of the interruption frame, so that its sender knows it again. */
  interrupted: z.object({
    playedMs: Ms,
    droppedMs: Ms,
    context: z.string().optional(),
    by: z.string().optional(),
  }),
  'settings-updated': z.object({ changed: SettingsChanged }),
  metrics: z.object({
    ttfbMs: Ms.optional(),
    startMs: Ms.optional(),
    frameAgeMs: Ms.optional(),
    videoFps: Ms.optional(),
    processor: z.string().optional(),
    model: z.string().optional(),
  }),
  message: z.object({ fromId: z.string().optional(), message: z.unknown() }),
  'frames-dropped': z.object({ count: z.int().positive(), ms: Ms, why: z.string() }),
  /** `mayRepeatMs`: so much speech at most is heard twice, because the last owner had no time to say that it was played. */
  takeover: z.object({ fromEpoch: z.int(), gapMs: Ms.optional(), mayRepeatMs: Ms.optional() }),
  error: z.object({
    code: z.string(),
    category: ErrorCategory,
    fatal: z.boolean(),
    message: z.string().optional(),
    field: z.string().optional(),
    /** How many of the same this stands for; 1 when absent. */
    count: z.int().positive().optional(),
  }),
  ended: z.object({ endReason: EndReason }),
} as const;

export type EventType = keyof typeof eventPayloads;
export type EventPayload<T extends EventType> = z.infer<(typeof eventPayloads)[T]>;
/** An event before it has an id: type with its payload. */
export type OutboundEvent = { [T in EventType]: { readonly type: T; readonly data: EventPayload<T> } }[EventType];
/** An event as read back: id of its stream entry, time in ms since 1970 by Redis' clock (so that it is in order over all owners), epoch of the owner (0 = nobody owned it). */
export type EventEnvelope = { readonly id: string; readonly at: number; readonly epoch: number } & OutboundEvent;

export const eventTypes = Object.keys(eventPayloads) as readonly EventType[]; // safe: keys of a const object literal

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(eventPayloads, text);
}

type ParsedEvent = { readonly event: EventEnvelope } | { readonly malformed: MalformedFrame };
const decoder = new TextDecoder();

/** Reads an entry of `fleet:{id}:events`. A type that is not known (a newer owner's) is malformed in `type`. */
export function parseEventEntry(id: string, fields: EntryFields): ParsedEvent {
  const text = (name: string): string => {
    const value = fields.get(name);
    return value === undefined ? '' : decoder.decode(value);
  };
  return parseEvent({
    id,
    type: text('type'),
    at: Number(text('at')),
    epoch: Number(text('epoch')),
    data: json(text('json')),
  });
}

/** Reads an event of the api's event stream: the JSON of its `data` line, which has the time as ISO-8601. */
export function parseEventLine(line: string): ParsedEvent {
  const parsed = EventLine.safeParse(json(line));
  if (!parsed.success)
    return { malformed: { field: parsed.error.issues[0]?.path.join('.') || 'data', problem: 'is malformed' } };
  return parseEvent({ ...parsed.data, at: Date.parse(parsed.data.at) });
}
const EventLine = z.object({
  id: z.string(),
  type: z.string(),
  at: z.iso.datetime(),
  epoch: z.number(),
  data: z.unknown(),
});

function parseEvent({ id, type, at, epoch, data }: Candidate): ParsedEvent {
  const malformed = (field: string): ParsedEvent => ({ malformed: { field, problem: 'is malformed' } });
  if (!isEventType(type)) return malformed('type');
  if (!Number.isSafeInteger(at) || at <= 0) return malformed('at');
  if (!Number.isSafeInteger(epoch) || epoch < 0) return malformed('epoch');
  const payload = eventPayloads[type].safeParse(data);
  if (!payload.success) return malformed('json');
  // Safe: `data` was parsed by the schema of `type`; the compiler cannot tie the two halves of the union together.
  return { event: { id, at, epoch, type, data: payload.data } as EventEnvelope };
}
type Candidate = { id: string; type: string; at: number; epoch: number; data: unknown };

/** Undefined for what is no JSON: no payload's schema takes that. */
function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** An event as it is shown to backends, in the event stream and in webhooks. */
export const EventView = z.object({
  id: z.string(),
  type: z.string(),
  at: z.iso.datetime(),
  epoch: z.int().nonnegative(),
  data: z.record(z.string(), z.unknown()),
});
export type EventView = z.infer<typeof EventView>;

export function eventView({ id, type, at, epoch, data }: EventEnvelope): EventView {
  return { id, type, at: new Date(at).toISOString(), epoch, data };
}
