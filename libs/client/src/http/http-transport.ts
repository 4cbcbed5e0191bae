import {
  ConversationId,
  ConversationState,
  ConversationView,
  FleetError,
  type EventEnvelope,
  type StartRequest,
} from '@tavus-fleet/contracts';
import { z } from 'zod';
import type { FrameSender, Transport } from '../transport.ts';
import { eventSource } from './event-source.ts';
import { FrameSocket } from './frame-socket.ts';
import { Requests } from './requests.ts';

export type HttpOptions = {
  readonly url: string;
  readonly key: string;
  /** How long the api may be away before whoever reads or writes is told. */
  readonly patienceMs: number;
};

const Started = z.object({ conversationId: ConversationId, state: ConversationState });

/** The fleet by its api: plain requests, server-sent events, and a WebSocket for frames. */
export class HttpTransport implements Transport {
  readonly #requests: Requests;
  readonly #patienceMs: number;

  constructor({ url, key, patienceMs }: HttpOptions) {
    this.#requests = new Requests(url, key);
    this.#patienceMs = patienceMs;
  }

  async start(
    request: StartRequest,
    requestId: string,
    signal: AbortSignal,
  ): Promise<{ conversationId: string; state: ConversationState }> {
    const headers = { 'idempotency-key': requestId };
    return this.#answer(
      Started,
      await this.#requests.json({ method: 'POST', path: '/v1/conversations', body: request, headers }, signal),
    );
  }

  async view(conversationId: string, signal: AbortSignal): Promise<ConversationView> {
    return this.#answer(
      ConversationView,
      await this.#requests.json({ method: 'GET', path: pathOf(conversationId) }, signal),
    );
  }

  async ask(
    conversationId: string,
    verb: 'stop' | 'cancel',
    reason: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const body = reason === undefined ? {} : { reason };
    try {
      await this.#requests.json({ method: 'POST', path: `${pathOf(conversationId)}/${verb}`, body }, signal);
    } catch (error) {
      if (!(error instanceof FleetError) || error.code !== 'conversation-over') throw error;
    }
  }

  frames(conversationId: string): FrameSender {
    return new FrameSocket({ requests: this.#requests, conversationId, patienceMs: this.#patienceMs });
  }

  events(conversationId: string, after: string, signal: AbortSignal): AsyncGenerator<EventEnvelope, void, void> {
    return eventSource({ requests: this.#requests, conversationId, after, signal, patienceMs: this.#patienceMs });
  }

  media(): never {
    throw new FleetError(
      'redis-only',
      'The api has no route for media: use createFleet({ redis }) for audio(), video() and userAudio().',
    );
  }

  /** Nothing stays open by itself: requests end with their signals, sockets with their senders. */
  async close(): Promise<void> {}

  #answer<T>(schema: z.ZodType<T>, answer: unknown): T {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new FleetError('internal', 'The api gave an answer that is not of its documented shape.', {
      cause: parsed.error,
    });
  }
}

function pathOf(conversationId: string): string {
  return `/v1/conversations/${encodeURIComponent(conversationId)}`;
}
