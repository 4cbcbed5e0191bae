import type { CreatedConversation, TavusPersona } from './answers.ts';
import { TavusFailure } from './errors.ts';
import type { CallOptions } from './http.ts';
import type { CreateConversation, TavusApi } from './port.ts';

export type FakeCall = {
  readonly route: 'create' | 'end' | 'get-persona';
  readonly epoch: number;
  readonly conversationId?: string;
};

/** Tavus in memory: remembers who asked for what, and fails on demand. Runs the same contract suite as the real client. */
export class FakeTavusApi implements TavusApi {
  /** Every conversation by its id. */
  readonly conversations = new Map<string, { readonly request: CreateConversation; status: 'active' | 'ended' }>();
  readonly personas = new Map([
    ['pipecat-stream', 'Pipecat Stream'],
    ['pipecat0', 'Pipecat Echo'],
  ]);
  readonly calls: FakeCall[] = [];
  readonly #failures: { route: FakeCall['route']; error: Error; afterwards: boolean }[] = [];

  /** The next call of that route rejects; `afterwards`: only after it has taken effect (a lost answer). */
  failNext(route: FakeCall['route'], error: Error, afterwards = false): void {
    this.#failures.push({ route, error, afterwards });
  }

  /** Ids of conversations that are still being paid for. */
  get unended(): string[] {
    return [...this.conversations].filter(([, one]) => one.status === 'active').map(([id]) => id);
  }

  async createConversation(request: CreateConversation, call: CallOptions): Promise<CreatedConversation> {
    const lost = this.#begin('create', call);
    if (!request.replicaId.startsWith('r'))
      throw new TavusFailure('tavus-invalid-request', 'Tavus answered 400: Invalid replica_uuid', { httpStatus: 400 });
    const conversationId = `c${(this.conversations.size + 1).toString(16).padStart(11, '0')}`;
    this.conversations.set(conversationId, { request, status: request.testMode ? 'ended' : 'active' });
    if (lost) throw lost;
    return {
      conversationId,
      conversationUrl: `https://tavus.daily.co/${conversationId}`,
      status: request.testMode ? 'ended' : 'active',
    };
  }

  async endConversation(conversationId: string, call: CallOptions): Promise<void> {
    const lost = this.#begin('end', call, conversationId);
    const conversation = this.conversations.get(conversationId);
    if (conversation) conversation.status = 'ended';
    if (lost) throw lost;
  }

  async getPersona(personaId: string, call: CallOptions): Promise<TavusPersona> {
    const lost = this.#begin('get-persona', call);
    if (lost) throw lost;
    const personaName = this.personas.get(personaId);
    if (personaName === undefined)
      throw new TavusFailure('tavus-invalid-request', 'Tavus answered 400: Invalid persona_id', { httpStatus: 400 });
    return { personaId, personaName };
  }

  #begin(route: FakeCall['route'], call: CallOptions, conversationId?: string): Error | undefined {
    call.signal.throwIfAborted();
    this.calls.push({ route, epoch: call.epoch ?? 0, ...(conversationId === undefined ? {} : { conversationId }) });
    const at = this.#failures.findIndex((failure) => failure.route === route);
    if (at === -1) return undefined;
    const [failure] = this.#failures.splice(at, 1);
    if (failure && !failure.afterwards) throw failure.error;
    return failure?.error;
  }
}
