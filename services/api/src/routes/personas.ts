import { withDeadline } from '@tavus-fleet/lifecycle';
import type { App, AppDeps } from '../app.ts';
import { NoQuery, PersonaParams, PersonaView, problems } from '../schemas.ts';

const DEADLINE_MS = 10_000;

/** Tavus' personas, as far as a backend needs them. */
export function personaRoutes(app: App, deps: AppDeps): void {
  app.get(
    '/v1/personas/:personaId',
    {
      schema: {
        operationId: 'getPersona',
        summary: "A persona's name",
        tags: ['fleet'],
        params: PersonaParams,
        querystring: NoQuery,
        response: { 200: PersonaView, ...problems(404, 502, 504) },
      },
    },
    async (request, reply) => {
      const { personaId } = request.params;
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort(new Error('The client has gone.')));
      const { personaName } = await withDeadline(
        { signal: gone.signal, ms: DEADLINE_MS, what: 'Reading the persona', code: 'tavus-timeout', clock: deps.clock },
        (signal) => deps.personas.getPersona(personaId, signal),
      );
      return { personaId, personaName };
    },
  );
}
