import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { ConversationState, EndReason } from '@tavus-fleet/contracts';

/** What a local slot is doing; `closed` would be free, but the worker drains, `braked`, but it is overloaded. Their sum is the capacity. */
export const slotStates = ['free', 'starting', 'live', 'stopping', 'braked', 'closed'] as const;
export type SlotState = (typeof slotStates)[number];

/** Why frames were dropped; `messages` and `output-…` are what did not get out to the backend, the others what did not get in. */
export const dropReasons = [
  'interrupted',
  'canceled',
  'trimmed',
  'late',
  'overflow',
  'refused',
  'after-end',
  'malformed',
  'takeover',
  'messages',
  'output-audio',
  'output-video',
  'output-user-audio',
  'other',
] as const;
export type DropReason = (typeof dropReasons)[number];

/** Tavus' routes as we call them. */
export const tavusRoutes = ['create', 'get', 'list', 'end', 'delete', 'get-persona', 'get-replica', 'other'] as const;
export type TavusRoute = (typeof tavusRoutes)[number];

/** What came of an attempt to deliver a webhook; `refused`: not sent, because of where it would go. */
export const webhookOutcomes = ['delivered', 'failed', 'refused', 'given-up'] as const;
export type WebhookOutcome = (typeof webhookOutcomes)[number];

/** What came of a callback of Tavus. */
export const callbackOutcomes = ['taken', 'seen', 'stale', 'full', 'absent', 'ignored', 'refused'] as const;
export type CallbackOutcome = (typeof callbackOutcomes)[number];

/** Why Tavus may refuse the whole fleet. */
const refusalReasons = ['capacity', 'auth', 'credits'] as const;

/** What went wrong with a browser. */
export const browserIncidents = ['died', 'not-started', 'hung', 'bloated', 'page-bloated'] as const;

/** The names of the metrics; `createMetrics` may be told to expose some of them only. */
export const metricNames = [
  'fleet_conversations',
  'fleet_slots',
  'fleet_session_start_seconds',
  'fleet_session_end_total',
  'fleet_ttfb_seconds',
  'fleet_frame_age_seconds',
  'fleet_frames_dropped_total',
  'fleet_queue_oldest_seconds',
  'fleet_takeovers_total',
  'fleet_hand_overs_total',
  'fleet_tavus_requests_total',
  'fleet_tavus_unended',
  'fleet_tavus_audit_age_seconds',
  'fleet_tavus_refuses',
  'fleet_browser_memory_bytes',
  'fleet_browser_incidents_total',
  'fleet_webhooks_total',
  'fleet_webhooks_waiting',
  'fleet_tavus_callbacks_total',
] as const;
export type MetricName = (typeof metricNames)[number];

/** The metrics of one process. Every method swallows nonsense (NaN, a label outside of its list becomes `other` or is left out): telemetry never throws. */
export type Metrics = {
  /** Conversations in a state, as the whole fleet sees them. */
  conversations(state: ConversationState, count: number): void;
  slots(state: SlotState, count: number): void;
  sessionStarted(seconds: number): void;
  sessionEnded(reason: EndReason): void;
  ttfb(seconds: number): void;
  /** From XADD to being handled. */
  frameAge(seconds: number): void;
  framesDropped(why: DropReason | (string & {}), count: number): void;
  queueOldest(seconds: number): void;
  takeover(): void;
  /** A draining worker gave a conversation to another one, or kept it and finished it itself. */
  handOver(outcome: 'given' | 'kept'): void;
  /** `status`: HTTP status, or what came instead of an answer. */
  tavusRequest(route: TavusRoute | (string & {}), status: number | 'timeout' | 'network' | 'aborted'): void;
  tavusUnended(count: number): void;
  /** Why Tavus refuses every create just now; undefined: it does not. */
  tavusRefuses(why: string | undefined): void;
  /** How old that count is. */
  tavusAuditAge(seconds: number): void;
  browserMemory(bytes: number): void;
  browserIncident(what: (typeof browserIncidents)[number]): void;
  webhook(outcome: WebhookOutcome): void;
  /** Webhooks that wait for their first or a further try. */
  webhooksWaiting(count: number): void;
  tavusCallback(outcome: CallbackOutcome): void;
  /** The exposition text and its content type. */
  expose(): Promise<{ contentType: string; body: string }>;
  /** Called before each exposition, for gauges that are read rather than kept; what it throws is left out, its values stay as they were. */
  onExpose(collect: () => Promise<void> | void): void;
};

/**
 * A registry of its own (no process-global state) with the metrics of interfaces and Node's process metrics. `only` leaves names out that this
 * process does not know, so that no process reports a zero it never measured. Ids are never labels.
 */
export function createMetrics(options: { only?: readonly MetricName[]; processMetrics?: boolean } = {}): Metrics {
  const { only = metricNames, processMetrics = true } = options;
  const registry = new Registry();
  if (processMetrics) collectDefaultMetrics({ register: registry });
  // What is left out still takes values, in a registry that nobody reads: callers need not know which names are exposed.
  const unread = new Registry();
  const where = (name: MetricName): Registry[] => [only.includes(name) ? registry : unread];
  const gauge = (name: MetricName, help: string): Gauge => new Gauge({ name, help, registers: where(name) });
  const histogram = (name: MetricName, help: string, buckets: number[]): Histogram =>
    new Histogram({ name, help, buckets, registers: where(name) });

  const conversations = new Gauge({
    name: 'fleet_conversations',
    help: 'Conversations by state.',
    labelNames: ['state'],
    registers: where('fleet_conversations'),
  });
  const slots = new Gauge({
    name: 'fleet_slots',
    help: 'Session slots of this worker by state; the sum is its capacity.',
    labelNames: ['state'],
    registers: where('fleet_slots'),
  });
  const starts = histogram(
    'fleet_session_start_seconds',
    'From being asked for to live, waiting in the queue included.',
    [0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120],
  );
  const ends = new Counter({
    name: 'fleet_session_end_total',
    help: 'Ended sessions by reason.',
    labelNames: ['reason'],
    registers: where('fleet_session_end_total'),
  });
  const ttfb = histogram(
    'fleet_ttfb_seconds',
    'First audio in to first speech of the replica.',
    [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10],
  );
  const frameAge = histogram(
    'fleet_frame_age_seconds',
    'Age of a frame when it is taken from its stream.',
    [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15],
  );
  const dropped = new Counter({
    name: 'fleet_frames_dropped_total',
    help: 'Frames not played, by why.',
    labelNames: ['why'],
    registers: where('fleet_frames_dropped_total'),
  });
  const oldest = gauge(
    'fleet_queue_oldest_seconds',
    'Age of the oldest conversation that waits for a worker; 0 when none waits.',
  );
  const takeovers = new Counter({
    name: 'fleet_takeovers_total',
    help: 'Sessions taken over from a lost owner.',
    registers: where('fleet_takeovers_total'),
  });
  const handOvers = new Counter({
    name: 'fleet_hand_overs_total',
    help: 'Live conversations of draining workers: given to another worker, or kept because none took them.',
    labelNames: ['outcome'],
    registers: where('fleet_hand_overs_total'),
  });
  const requests = new Counter({
    name: 'fleet_tavus_requests_total',
    help: 'Requests to Tavus by route and status.',
    labelNames: ['route', 'status'],
    registers: where('fleet_tavus_requests_total'),
  });
  const unended = gauge('fleet_tavus_unended', 'Tavus conversations of this fleet that are not known to have ended.');
  const refuses = new Gauge({
    name: 'fleet_tavus_refuses',
    help: '1 while Tavus refuses every create of the fleet for this reason and nothing is claimed.',
    labelNames: ['why'],
    registers: where('fleet_tavus_refuses'),
  });
  const auditAge = gauge(
    'fleet_tavus_audit_age_seconds',
    'Age of fleet_tavus_unended: time since the reaper last compared the ledger with the list of Tavus.',
  );
  const memory = gauge('fleet_browser_memory_bytes', 'Resident memory of the browsers of this worker.');

  const incidents = new Counter({
    name: 'fleet_browser_incidents_total',
    help: 'Browsers and pages that died, hung or held too much memory. Their sessions go on in new ones.',
    labelNames: ['what'],
    registers: where('fleet_browser_incidents_total'),
  });

  const webhooks = new Counter({
    name: 'fleet_webhooks_total',
    help: 'Attempts to deliver a webhook by outcome.',
    labelNames: ['outcome'],
    registers: where('fleet_webhooks_total'),
  });
  const waiting = gauge('fleet_webhooks_waiting', 'Webhooks that wait for their first or a further try.');
  const callbacks = new Counter({
    name: 'fleet_tavus_callbacks_total',
    help: "Tavus' callbacks by outcome.",
    labelNames: ['outcome'],
    registers: where('fleet_tavus_callbacks_total'),
  });

  const collectors: (() => Promise<void> | void)[] = [];
  const finite = (value: number, use: (value: number) => void): void => {
    if (Number.isFinite(value)) use(value);
  };
  const oneOf = <T extends string>(list: readonly T[], text: string): T | 'other' =>
    list.find((each) => each === text) ?? 'other';

  return {
    conversations: (state, count) =>
      finite(count, (value) => conversations.set({ state: oneOf(ConversationState.options, state) }, value)),
    slots: (state, count) => finite(count, (value) => slots.set({ state: oneOf(slotStates, state) }, value)),
    sessionStarted: (seconds) => finite(seconds, (value) => starts.observe(value)),
    sessionEnded: (reason) => ends.inc({ reason: oneOf(EndReason.options, reason) }),
    ttfb: (seconds) => finite(seconds, (value) => ttfb.observe(value)),
    frameAge: (seconds) => finite(seconds, (value) => frameAge.observe(Math.max(0, value))),
    framesDropped: (why, count) =>
      finite(count, (value) => dropped.inc({ why: oneOf(dropReasons, why) }, Math.max(0, value))),
    queueOldest: (seconds) => finite(seconds, (value) => oldest.set(Math.max(0, value))),
    takeover: () => takeovers.inc(),
    handOver: (outcome) => handOvers.inc({ outcome }),
    tavusRequest: (route, status) => requests.inc({ route: oneOf(tavusRoutes, route), status: statusLabel(status) }),
    tavusUnended: (count) => finite(count, (value) => unended.set(value)),
    tavusRefuses: (why) => refusalReasons.forEach((each) => refuses.set({ why: each }, each === why ? 1 : 0)),
    tavusAuditAge: (seconds) => finite(seconds, (value) => auditAge.set(value)),
    browserIncident: (what) => incidents.inc({ what: oneOf(browserIncidents, what) }),
    browserMemory: (bytes) => finite(bytes, (value) => memory.set(value)),
    webhook: (outcome) => webhooks.inc({ outcome: oneOf(webhookOutcomes, outcome) }),
    webhooksWaiting: (count) => finite(count, (value) => waiting.set(value)),
    tavusCallback: (outcome) => callbacks.inc({ outcome: oneOf(callbackOutcomes, outcome) }),
    onExpose: (collect) => void collectors.push(collect),
    async expose() {
      await Promise.allSettled(collectors.map(async (collect) => collect()));
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

const otherAnswers: readonly string[] = ['timeout', 'network', 'aborted'];

function statusLabel(status: number | string): string {
  if (typeof status === 'string') return otherAnswers.includes(status) ? status : 'other';
  return Number.isInteger(status) && status >= 100 && status <= 599 ? String(status) : 'other';
}
