import { describe, expect, it } from 'vitest';
import type { TavusApi } from './port.ts';

/** What a setup offers: an API with a replica `rcontract` and the persona `pipecat-stream`, and a look behind it. */
export type ContractWorld = {
  readonly api: TavusApi;
  /** Ids of conversations that are active. */
  readonly active: () => Promise<readonly string[]> | readonly string[];
  readonly close?: () => Promise<void>;
};

/** What every TavusApi keeps: run it on the fake and on the real client, so that the fake cannot lie. */
export function tavusApiContract(name: string, setup: () => Promise<ContractWorld> | ContractWorld): void {
  const request = { replicaId: 'rcontract', personaId: 'pipecat-stream', conversationName: 'contract [tf:test:c:1.1]' };
  const call = { epoch: 1, signal: new AbortController().signal };
  const within = (run: (world: ContractWorld) => Promise<void>) => async (): Promise<void> => {
    const world = await setup();
    try {
      await run(world);
    } finally {
      await world.close?.();
    }
  };

  describe(`${name} keeps the contract of TavusApi`, () => {
    it(
      'creates a conversation that is active and has an id and a URL of its own',
      within(async ({ api, active }) => {
        const [one, two] = [await api.createConversation(request, call), await api.createConversation(request, call)];
        expect(one.status).toBe('active');
        expect(one.conversationId).not.toBe(two.conversationId);
        expect(URL.canParse(one.conversationUrl)).toBe(true);
        expect([...(await active())].sort()).toEqual([one.conversationId, two.conversationId].sort());
      }),
    );

    it(
      'refuses a replica that does not exist, and creates nothing',
      within(async ({ api, active }) => {
        await expect(api.createConversation({ ...request, replicaId: 'pwrong' }, call)).rejects.toMatchObject({
          code: 'tavus-invalid-request',
          outcomeUnknown: false,
        });
        expect(await active()).toEqual([]);
      }),
    );

    it(
      'ends a conversation, and ending it again or ending an unknown one is settled too',
      within(async ({ api, active }) => {
        const { conversationId } = await api.createConversation(request, call);
        await api.endConversation(conversationId, call);
        expect(await active()).toEqual([]);
        await api.endConversation(conversationId, call);
        await api.endConversation('c00000000dead', call);
      }),
    );

    it(
      'knows the name that a replica shows in the call',
      within(async ({ api }) => {
        const persona = await api.getPersona('pipecat-stream', call);
        expect(persona.personaId).toBe('pipecat-stream');
        expect(persona.personaName.length).toBeGreaterThan(0);
        await expect(api.getPersona('p-unknown', call)).rejects.toMatchObject({ code: 'tavus-invalid-request' });
      }),
    );

    it(
      'does nothing for a caller who has already given up',
      within(async ({ api, active }) => {
        const gone = { epoch: 1, signal: AbortSignal.abort(new Error('given up')) };
        await expect(api.createConversation(request, gone)).rejects.toThrow('given up');
        await expect(api.endConversation('c1', gone)).rejects.toThrow('given up');
        await expect(api.getPersona('pipecat-stream', gone)).rejects.toThrow('given up');
        expect(await active()).toEqual([]);
      }),
    );
  });
}
