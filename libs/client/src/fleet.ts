import { ConversationId, FleetError, StartRequest, type StartRequestInput } from '@tavus-fleet/contracts';
import { withDeadline } from '@tavus-fleet/lifecycle';
import { z } from 'zod';
import { checked } from './checked.ts';
import { Conversation, type CallOptions } from './conversation.ts';
import { HttpTransport } from './http/http-transport.ts';
import type { Transport } from './transport.ts';

const Shared = {
  /** Deadline of each call, ms; a call that waits for something to happen (`live`, `say`) has none. */
  timeoutMs: z.int().positive().default(10_000),
  /** Speech that `say` lets wait in the fleet before it takes more from its source, ms. */
  aheadMs: z.int().min(200).default(10_000),
  /** How long the fleet may be out of reach before events and frames that wait fail; until then they are taken up where they were. ms. */
  patienceMs: z.int().positive().default(120_000),
};
const OverRedis = z.strictObject({
  ...Shared,
  redis: z.string().min(1),
  keyPrefix: z.string().min(1).default('fleet'),
});
const OverHttp = z.strictObject({
  ...Shared,
  url: z.url({ protocol: /^https?$/ }),
  key: z.string().min(1),
});

/**
 * How to reach the fleet. Straight through its Redis (`redis`: as REDIS_URL, so also `rediss://`, `redis+sentinel://host,host/name` and
 * `redis+cluster://host,host`; `keyPrefix`: its KEY_PREFIX), or by its api (`url`, and an API key).
 */
export type FleetOptions = z.input<typeof OverRedis> | z.input<typeof OverHttp>;

/** Throws `invalid-request` that names the option which is wrong. Connects when something is asked for, not before. */
export function createFleet(options: FleetOptions): Fleet {
  return new Fleet(options);
}

/** A fleet of avatars, from a backend's point of view. Closing it closes what it opened here; conversations go on. */
export class Fleet implements AsyncDisposable {
  readonly #transport: Promise<Transport>;
  readonly #limits: { readonly timeoutMs: number; readonly aheadMs: number };
  readonly #conversations = new Set<Conversation>();
  readonly #life = new AbortController();

  constructor(options: FleetOptions) {
    const given = 'redis' in options ? checked(OverRedis, options, 'options') : checked(OverHttp, options, 'options');
    this.#limits = given;
    this.#transport = 'redis' in given ? overRedis(given) : Promise.resolve(new HttpTransport(given));
    this.#transport.catch(() => undefined); // the first call says it
  }

  /**
   * Asks for an avatar. Resolves when that is written down: the conversation becomes live, or ends with a reason. The avatar may be
   * spoken to at once; it listens when it is live. Sent again while the fleet is out of reach: it is one conversation all the same.
   */
  async start(
    request: StartRequestInput,
    { signal, timeoutMs = this.#limits.timeoutMs }: CallOptions = {},
  ): Promise<Conversation> {
    const parsed = checked(StartRequest, request, 'request');
    const until = signal ? AbortSignal.any([signal, this.#life.signal]) : this.#life.signal;
    const transport = await this.#transport;
    const { conversationId, state } = await withDeadline(
      { what: 'Starting a conversation', ms: timeoutMs, signal: until },
      (own) => transport.start(parsed, crypto.randomUUID(), own),
    );
    return this.#conversation(conversationId, state, true);
  }

  /** A conversation that was started elsewhere, or earlier. Nothing is asked: `view()` says whether there is one. */
  conversation(id: string): Conversation {
    return this.#conversation(checked(ConversationId, id, 'conversationId'), 'queued', false);
  }

  /** May be called twice. */
  async close(): Promise<void> {
    if (this.#life.signal.aborted) return;
    this.#life.abort(new FleetError('shutting-down', 'The fleet was closed here.'));
    await Promise.all([...this.#conversations].map((conversation) => conversation.close()));
    await this.#transport.then((transport) => transport.close()).catch(() => undefined); // one that never opened needs no closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #conversation(id: string, state: Conversation['state'], ours: boolean): Conversation {
    this.#life.signal.throwIfAborted();
    const conversation: Conversation = new Conversation({
      id,
      state,
      transport: this.#transport,
      limits: this.#limits,
      ours,
      onClose: () => this.#conversations.delete(conversation),
    });
    this.#conversations.add(conversation);
    return conversation;
  }
}

/** Loaded when it is needed: whoever uses the api need not install the drivers. */
async function overRedis(options: z.output<typeof OverRedis>): Promise<Transport> {
  try {
    const { RedisTransport } = await import('./redis/redis-transport.ts');
    return new RedisTransport(options);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw new FleetError(
      'invalid-request',
      'createFleet({ redis }) needs two packages more: npm install ioredis bullmq',
      {
        field: 'redis',
        cause: error,
      },
    );
  }
}
