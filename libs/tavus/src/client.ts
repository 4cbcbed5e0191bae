import { retry, systemClock, type Clock, type RetryPolicy } from '@tavus-fleet/lifecycle';
import { Agent, type Dispatcher } from 'undici';
import {
  ConversationAnswer,
  CreateAnswer,
  ListAnswer,
  PersonaAnswer,
  ReplicaAnswer,
  type ConversationPage,
  type CreatedConversation,
  type TavusConversation,
  type TavusPersona,
  type TavusReplica,
} from './answers.ts';
import { collections, createBody, type TavusNames } from './create-body.ts';
import { saysUnknownConversation, TavusFailure } from './errors.ts';
import { TavusHttp, unknownOutcome, type CallOptions, type RequestStatus, type Route } from './http.ts';
import type { TavusApi } from './port.ts';

const CREATE_MS = 15_000;
const END_MS = 10_000;
const READ_MS = 8_000;
const readPolicy: RetryPolicy = { attempts: 3, firstMs: 250, maxMs: 2_000 };
// Ending is what stops the bill: tried longer, and the reaper goes on after that.
const endPolicy: RetryPolicy = { attempts: 5, firstMs: 250, maxMs: 4_000 };
const PAGE_SIZE = 100;
const MAX_PAGES = 100;

export type ListQuery = {
  readonly status?: 'active' | 'ended';
  readonly limit?: number;
  /** From 1. */
  readonly page?: number;
};

export type TavusClientOptions = {
  /** Without `/v2`, e.g. `https://tavusapi.com`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly names: TavusNames;
  /** Borrowed: not closed by `close()`. Default: an own pool of connections. */
  readonly dispatcher?: Dispatcher;
  readonly clock?: Clock;
  /** Told of every request, also of failed and repeated ones. Must not throw. */
  readonly onRequest?: (route: Route, status: RequestStatus, ms: number) => void;
};

/** Everything we call at Tavus. Sessions need only its `TavusApi`; the reaper lists, tools show. */
export interface TavusClient extends TavusApi {
  /** `verbose` adds the reason of the shutdown. */
  getConversation(
    conversationId: string,
    call: CallOptions & { readonly verbose?: boolean },
  ): Promise<TavusConversation>;
  /** One page, in Tavus' order (not documented). */
  listConversations(query: ListQuery, call: CallOptions): Promise<ConversationPage>;
  /**
   * All pages, each conversation once. Rejects rather than stop early. While others end, pages shift and one may slip through:
   * absence is proof only when two listings agree.
   */
  allConversations(query: Pick<ListQuery, 'status'>, call: CallOptions): AsyncGenerator<TavusConversation, void>;
  /** Removes its data. Not a way to end it. */
  deleteConversation(conversationId: string, call: CallOptions): Promise<void>;
  getReplica(replicaId: string, call: CallOptions): Promise<TavusReplica>;
  /** Closes the own connections; requests in flight fail. May be called twice. */
  close(): Promise<void>;
}

/** A client of Tavus' REST API, version 2. */
export function createTavusClient(options: TavusClientOptions): TavusClient {
  const { clock = systemClock, names } = options;
  const dispatcher = options.dispatcher ?? new Agent({ connections: 32, connect: { timeout: 5_000 } });
  let closing: Promise<void> | undefined;
  const http = new TavusHttp({
    baseUrl: options.baseUrl,
    apiKey: options.apiKey,
    dispatcher,
    clock,
    onRequest: options.onRequest,
  });
  const again = <T>(policy: RetryPolicy, call: CallOptions, work: () => Promise<T>): Promise<T> =>
    retry(policy, { signal: call.signal, clock }, work);
  const conversation = (id: string): string => `/v2/conversations/${segment(id)}`;

  const getConversation: TavusClient['getConversation'] = (id, call) =>
    again(readPolicy, call, () =>
      http.json(
        {
          route: 'get',
          method: 'GET',
          path: conversation(id) + (call.verbose ? '?verbose=true' : ''),
          deadlineMs: READ_MS,
        },
        ConversationAnswer,
        call,
      ),
    );

  const listConversations: TavusClient['listConversations'] = (query, call) =>
    again(readPolicy, call, () =>
      http.json(
        { route: 'list', method: 'GET', path: `/v2/conversations${search(query)}`, deadlineMs: READ_MS },
        ListAnswer,
        call,
      ),
    );

  return {
    getConversation,
    listConversations,

    async createConversation(request, call): Promise<CreatedConversation> {
      try {
        const body = createBody(request, names);
        return await http.json(
          { route: 'create', method: 'POST', path: '/v2/conversations', body, deadlineMs: CREATE_MS },
          CreateAnswer,
          call,
        );
      } catch (error) {
        // An answer that we do not understand, or a failure inside Tavus, may come after the conversation was made.
        if (
          error instanceof TavusFailure &&
          ['tavus-bad-answer', 'tavus-unavailable', 'tavus-timeout'].includes(error.code) &&
          error.httpStatus !== undefined
        )
          throw unknownOutcome(error);
        throw error;
      }
    },

    async endConversation(id, call): Promise<void> {
      try {
        await again(endPolicy, call, () =>
          http.empty({ route: 'end', method: 'POST', path: `${conversation(id)}/end`, deadlineMs: END_MS }, call),
        );
      } catch (error) {
        if (!saysUnknownConversation(error)) throw error;
        // What Tavus answers to a second end is not documented: "unknown id" is believed only if a look at it agrees.
        if (await isActive(id, call)) throw error;
      }
    },

    async *allConversations(query, call) {
      const seen = new Set<string>(); // pages shift while conversations come and go
      let rows = 0;
      for (let page = 1; page <= MAX_PAGES; page += 1) {
        const { conversations, totalCount } = await listConversations({ ...query, limit: PAGE_SIZE, page }, call);
        for (const row of conversations) {
          if (seen.has(row.conversationId)) continue;
          seen.add(row.conversationId);
          yield row;
        }
        rows += conversations.length;
        // A full page is no sign of more, a short one none of the end (the server may cap the limit): the count is.
        if (conversations.length === 0 || (totalCount !== undefined && rows >= totalCount)) return;
      }
      throw new TavusFailure('tavus-bad-answer', `Tavus lists more than ${MAX_PAGES} pages of conversations.`);
    },

    deleteConversation: (id, call) =>
      again(readPolicy, call, () =>
        http.empty({ route: 'delete', method: 'DELETE', path: conversation(id), deadlineMs: END_MS }, call),
      ),

    getPersona: (id, call): Promise<TavusPersona> =>
      again(readPolicy, call, () =>
        http.json(
          {
            route: 'get-persona',
            method: 'GET',
            path: `/v2/${collections(names).personas}/${segment(id)}`,
            deadlineMs: READ_MS,
          },
          PersonaAnswer,
          call,
        ),
      ),

    getReplica: (id, call): Promise<TavusReplica> =>
      again(readPolicy, call, () =>
        http.json(
          {
            route: 'get-replica',
            method: 'GET',
            path: `/v2/${collections(names).replicas}/${segment(id)}`,
            deadlineMs: READ_MS,
          },
          ReplicaAnswer,
          call,
        ),
      ),

    async close() {
      if (options.dispatcher) return; // borrowed
      closing ??= dispatcher.destroy();
      await closing;
    },
  };

  async function isActive(id: string, call: CallOptions): Promise<boolean> {
    try {
      return (await getConversation(id, call)).status === 'active';
    } catch (error) {
      if (saysUnknownConversation(error)) return false;
      throw error;
    }
  }
}

/** An id as one path segment: ids come from callers, and `..` would climb to another route. */
function segment(id: string): string {
  if (id === '' || id === '.' || id === '..')
    throw new TavusFailure('tavus-invalid-request', 'The id for Tavus is empty or a path.');
  return encodeURIComponent(id);
}

function search(query: ListQuery): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries({ status: query.status, limit: query.limit, page: query.page })) {
    if (value !== undefined) given.set(name, String(value));
  }
  return given.size === 0 ? '' : `?${given.toString()}`;
}
