import { z } from 'zod';

/** Every known failure, by its published name. */
export const FAULT_NAMES = [
  'create-400-concurrency',
  'create-402',
  'create-401',
  'create-500',
  'create-429',
  'create-timeout-after-success',
  'create-slow',
  'end-fails',
  'replica-never-joins',
  'replica-leaves',
  'replica-freezes-video',
  'replica-mutes',
  'eject-bot',
  'room-deleted',
  'exp-room',
  'meeting-full',
  'network-interrupted',
  'minutes-run-out',
  'webhook-duplicate',
  'webhook-drop',
  'app-message-limit',
  'ghost-lingers',
] as const;

export type FaultName = (typeof FAULT_NAMES)[number];

/**
 * The switchboard's catalog: where each fault bites, and how often when `count` is not given (null = until DELETE /sim/faults).
 * `create` and `end`: a REST answer. `room`: acts on running conversations at once, else on the next one that fits.
 * `standing`: a condition of the whole world that stays until it is taken off.
 */
export const FAULTS: Readonly<
  Record<FaultName, { where: 'create' | 'end' | 'room' | 'standing'; count: number | null }>
> = {
  'create-400-concurrency': { where: 'create', count: 1 },
  'create-402': { where: 'create', count: 1 },
  'create-401': { where: 'create', count: 1 },
  'create-500': { where: 'create', count: 1 },
  'create-429': { where: 'create', count: 1 },
  'create-timeout-after-success': { where: 'create', count: 1 },
  'create-slow': { where: 'create', count: 1 },
  'end-fails': { where: 'end', count: 1 },
  'replica-never-joins': { where: 'room', count: 1 },
  'replica-leaves': { where: 'room', count: 1 },
  'replica-freezes-video': { where: 'room', count: 1 },
  'replica-mutes': { where: 'room', count: 1 },
  'eject-bot': { where: 'room', count: 1 },
  'room-deleted': { where: 'room', count: 1 },
  'exp-room': { where: 'room', count: 1 },
  // Its `count` is the number of joins refused, not of conversations.
  'meeting-full': { where: 'room', count: 1 },
  'network-interrupted': { where: 'room', count: 1 },
  'minutes-run-out': { where: 'standing', count: null },
  'webhook-duplicate': { where: 'standing', count: null },
  'webhook-drop': { where: 'standing', count: null },
  'app-message-limit': { where: 'standing', count: null },
  'ghost-lingers': { where: 'standing', count: null },
};

/** Body of POST /sim/faults. Durations in ms; what a parameter means for which fault stands in the README. */
export const FaultRequest = z
  .object({
    fault: z.enum(FAULT_NAMES),
    count: z.int().min(1).max(100_000).optional(),
    /** Part of the conversation's name, or its id. */
    match: z.string().min(1).max(255).optional(),
    ms: z.int().min(0).max(600_000).optional(),
    /** Room faults: wait this long first. */
    afterMs: z.int().min(0).max(600_000).optional(),
    status: z.int().min(400).max(599).optional(),
    retryAfterSeconds: z.int().min(0).max(3_600).optional(),
    limit: z.int().min(64).max(1_000_000).optional(),
  })
  .strict();

export type FaultRequest = z.infer<typeof FaultRequest>;

/** What a fault is matched against; the id is not known yet while a create is judged. */
export type FaultSubject = { readonly name: string; readonly id?: string };

export const matches = (match: string | undefined, subject: FaultSubject): boolean =>
  match === undefined || match === subject.id || subject.name.includes(match);

/**
 * The armed faults, in the order they were set. Invariant: a fault is used up by `take` and by nothing else, so that
 * "twice" means exactly two. It knows nothing of rooms or routes; whoever can honour a fault asks for it.
 */
export class Faults {
  #armed: { request: FaultRequest; remaining: number | null; fired: number }[] = [];

  /** Arms it; `count` overrides the catalog's. */
  arm(request: FaultRequest): void {
    if (this.#armed.length >= 1_000) this.#armed.shift();
    const times = request.fault === 'meeting-full' ? 1 : (request.count ?? FAULTS[request.fault].count);
    this.#armed.push({ request, remaining: times, fired: 0 });
  }

  /** Uses up one of the first armed fault of this name that fits; undefined if there is none. */
  take(fault: FaultName, subject: FaultSubject): FaultRequest | undefined {
    const entry = this.#armed.find((one) => one.request.fault === fault && matches(one.request.match, subject));
    if (entry === undefined) return undefined;
    entry.fired += 1;
    if (entry.remaining !== null) entry.remaining -= 1;
    if (entry.remaining === 0) this.#armed = this.#armed.filter((one) => one !== entry);
    return entry.request;
  }

  /** All off. */
  clear(): void {
    this.#armed = [];
  }

  /** `remaining: null` = until cleared. */
  list(): readonly (FaultRequest & { remaining: number | null; fired: number })[] {
    return this.#armed.map((one) => ({ ...one.request, remaining: one.remaining, fired: one.fired }));
  }
}
