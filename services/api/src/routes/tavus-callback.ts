import { FleetError } from '@tavus-fleet/contracts';
import { conversationOfToken, parseCallback } from '@tavus-fleet/tavus';
import { z } from 'zod';
import type { App, AppDeps } from '../app.ts';
import { InvalidRequest } from '../problem.ts';
import { NoQuery, problems } from '../schemas.ts';

/** The transcript of an hour is a few hundred kilobytes. */
const BODY_LIMIT = 1024 * 1024;

/**
 * Tavus' callbacks. The token in the URL says whose it is and is all the right there is, so it is judged before the body is read. What is
 * refused is refused for those who test: Tavus repeats nothing (documented: no retry), and the fleet gets along without any callback.
 */
export function tavusCallbackRoute(app: App, deps: AppDeps): void {
  const { notices, callbackKey, log, metrics } = deps;

  app.post(
    '/v1/tavus/callback/:token',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'tavusCallback',
        summary: 'Where Tavus calls back',
        description:
          'The token is made for each conversation and is known to Tavus only. Taken once, however often it comes.',
        tags: ['process'],
        security: [],
        params: z.strictObject({ token: z.string() }),
        querystring: NoQuery,
        body: z.unknown(),
        response: { 200: z.object({ received: z.literal(true) }), ...problems(404, 413, 415) },
      },
      onRequest: async (request) => {
        const { token } = request.params;
        if (conversationOfToken(callbackKey.reveal(), token) !== undefined) return;
        metrics.tavusCallback('refused');
        throw new FleetError('not-found', 'There is no such path; see /openapi.json.');
      },
    },
    // oxlint-disable-next-line oxc/no-async-endpoint-handlers -- fastify, unlike Express, awaits its handlers
    async (request) => {
      const conversationId = conversationOfToken(callbackKey.reveal(), request.params.token);
      if (conversationId === undefined) throw new FleetError('not-found', 'There is no such path; see /openapi.json.');
      const parsed = parseCallback(request.body);
      if ('problem' in parsed) {
        metrics.tavusCallback('refused');
        throw new InvalidRequest([parsed.problem]);
      }
      const { kind, ...notice } = parsed.callback;
      // A record that has expired is as good as one that has taken it: its sender has nothing to do about it.
      const outcome = kind === 'joined' ? 'ignored' : await notices.take(conversationId, notice);
      metrics.tavusCallback(outcome);
      log.info({ conversationId, kind, outcome }, 'tavus called back');
      return { received: true as const };
    },
  );
}
