import { randomUUID } from 'node:crypto';
import { FleetError } from '@tavus-fleet/contracts';
import { retry, sleep, systemClock, type Clock } from '@tavus-fleet/lifecycle';
import { createTavusClient, TavusFailure, type TavusClient, type TavusClientOptions } from '@tavus-fleet/tavus';
import type { ConversationApi } from './conversation-api.ts';

/** Where a service finds Tavus when it runs by itself. */
export type DirectOptions = {
  readonly apiKey: string;
  readonly replicaId: string;
  /** Default `pipecat-stream`, the stock persona that speaks what it hears on the track `stream`. */
  readonly personaId?: string;
  /** The caller's connections (undici): borrowed, never closed here. Default: a pool of the service's own, whose idle connections close by themselves. */
  readonly http?: TavusClientOptions['dispatcher'];
  /** Default `https://tavusapi.com`. */
  readonly baseUrl?: string;
};

const TAVUS = 'https://tavusapi.com';
const CREATE_RETRY = { attempts: 3, firstMs: 500, maxMs: 4_000 };
const FIND_MS = 10_000;
/** A list may lag behind a create. */
const LIST_LAG_MS = 500;
/** A create is never cut off from our side: cut off it may have succeeded, and is billed. The client's own deadline bounds it. */
const NEVER = new AbortController().signal;
/** Nobody else looks after such a conversation, so Tavus itself shall end it soon after we are gone (its defaults: 300 s, 3600 s). */
const SAFETY = {
  participantAbsentTimeoutSeconds: 120,
  participantLeftTimeoutSeconds: 30,
  maxCallDurationSeconds: 3_600,
} as const;

type Created = Awaited<ReturnType<ConversationApi['create']>>;

/**
 * Conversations straight at Tavus, without a ledger, for whoever runs one service by itself. A create without an answer is
 * looked for by its unique name and adopted, or tried again when it is not there. A fleet wraps each call in its ledger
 * instead (so that a crash between two calls leaks nothing either) and hands that in.
 */
export function directConversations(options: DirectOptions, clock: Clock = systemClock): ConversationApi {
  const { apiKey, replicaId, personaId = 'pipecat-stream', http, baseUrl = TAVUS } = options;
  const tavus = createTavusClient({
    baseUrl,
    apiKey,
    names: 'replica',
    clock,
    ...(http === undefined ? {} : { dispatcher: http }),
  });
  return {
    create: (signal) =>
      retry(CREATE_RETRY, { signal, clock }, async () => {
        const conversationName = `service-${randomUUID()}`;
        try {
          const request = { replicaId, personaId, conversationName, properties: SAFETY };
          return await tavus.createConversation(request, { signal: NEVER });
        } catch (error) {
          if (!(error instanceof TavusFailure && error.outcomeUnknown)) throw error;
          const found = (await activeOf(tavus, conversationName)) ?? (await later(tavus, conversationName, clock));
          if (found) return found;
          throw error;
        }
      }),
    end: (conversationId, signal) => tavus.endConversation(conversationId, { signal }),
    personaName: async (signal) => {
      const { personaName } = await tavus.getPersona(personaId, { signal });
      if (personaName === undefined) throw new FleetError('tavus-bad-answer', 'Tavus names no persona.');
      return personaName;
    },
  };
}

async function later(tavus: TavusClient, name: string, clock: Clock): Promise<Created | undefined> {
  await sleep(clock, LIST_LAG_MS);
  return activeOf(tavus, name);
}

async function activeOf(tavus: TavusClient, name: string): Promise<Created | undefined> {
  const signal = AbortSignal.timeout(FIND_MS);
  for await (const { conversationName, conversationId, conversationUrl } of tavus.allConversations(
    { status: 'active' },
    { signal },
  )) {
    if (conversationName === name && conversationUrl !== undefined) return { conversationId, conversationUrl };
  }
  return undefined;
}
