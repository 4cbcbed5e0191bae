import {
  ConversationId,
  ConversationState,
  ConversationView,
  Desired,
  JsonFrame,
  Problem,
  SettingsChanged,
  SettingsDelta,
  StartRequest,
  WorkerView,
} from '@tavus-fleet/contracts';
import { z } from 'zod';
import { PROBLEM_TYPE } from './problem.ts';

/** Query of routes that take none: a misspelt key is refused, not ignored. */
export const NoQuery = z.strictObject({});
export const ConversationParams = z.strictObject({ conversationId: ConversationId });
export const PersonaParams = z.strictObject({
  personaId: z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'must be 1 to 128 characters of A-Z a-z 0-9 _ -'),
});
export const WorkerParams = z.strictObject({ workerId: ConversationId });

export const ListQuery = z.strictObject({
  state: ConversationState.optional(),
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_=.:-]{1,256}$/, 'must be the cursor of an earlier answer')
    .optional(),
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, 'must be a whole number from 1 to 100')
    .default('50'),
});

export const StartHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional(),
});

/** Id of a stream entry, as our events carry it; `0` is before the first. */
const EventId = z.string().regex(/^\d{1,20}(-\d{1,20})?$/, 'must be the id of an event');
export const EventHeaders = z.object({ 'last-event-id': EventId.or(z.literal('')).optional() });

export const ControlBody = z.strictObject({ reason: z.string().max(256).optional() }).nullish();
export const InterruptBody = z
  .strictObject({ context: z.string().min(1).max(128).optional(), reason: z.string().max(256).optional() })
  .nullish();

export const ConversationList = z.object({ conversations: z.array(ConversationView), cursor: z.string().optional() });
export const Accepted = z.object({ conversationId: ConversationId, entryId: z.string() });
export const SettingsAccepted = z.object({ changed: SettingsChanged });
export const ControlAccepted = z.object({ conversationId: ConversationId, state: ConversationState, desired: Desired });
export const PersonaView = z.object({ personaId: z.string(), personaName: z.string() });
export const WorkerList = z.object({ workers: z.array(WorkerView) });
export const DrainAccepted = z.object({ id: z.string(), draining: z.literal(true) });
export const Healthy = z.object({ status: z.literal('ok') });

/** Schemas that the OpenAPI document names instead of repeating. A registry of our own: zod's global one is process-global state. */
export const named = z.registry<{ id: string }>();
named.add(StartRequest, { id: 'StartRequest' });
named.add(SettingsDelta, { id: 'SettingsDelta' });
named.add(JsonFrame, { id: 'Frame' });
// Recursive: without a name of its own its references would point into a part that the document does not have.
for (const frame of JsonFrame.options) if ('message' in frame.shape) named.add(frame.shape.message, { id: 'Json' });
named.add(ConversationView, { id: 'Conversation' });
named.add(WorkerView, { id: 'Worker' });
named.add(Problem, { id: 'Problem' });

type ProblemResponse = { description: string; content: { [PROBLEM_TYPE]: { schema: typeof Problem } } };
const texts = {
  400: 'Fields are wrong (each is named), or the body is not JSON',
  401: 'No valid key',
  404: "Unknown, or another key's",
  409: 'In conflict with what happened before; see `code`',
  413: 'The body is too large',
  415: 'The body is not application/json',
  429: 'Too much is waiting; try later',
  500: 'Unforeseen',
  502: 'Tavus refused or failed; see `code`',
  503: 'Redis does not answer, or the process is shutting down; try again',
  504: 'Tavus did not answer in time',
} as const;

/** The error answers of a route, for its `response` schema. 400, 401, 500 and 503 are everybody's. */
export function problems<S extends keyof typeof texts = never>(
  ...statuses: S[]
): { [P in S | 400 | 401 | 500 | 503]: ProblemResponse } {
  const answers: Partial<Record<keyof typeof texts, ProblemResponse>> = {};
  for (const status of [400, 401, 500, 503, ...statuses] as const)
    answers[status] = { description: texts[status], content: { [PROBLEM_TYPE]: { schema: Problem } } };
  return answers as { [P in S | 400 | 401 | 500 | 503]: ProblemResponse }; // safe: the loop above sets each of them
}
