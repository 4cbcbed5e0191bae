import { FleetError, type ErrorCode } from '@tavus-fleet/contracts';
import type { FastifyReply } from 'fastify';
import type { App, AppDeps } from './app.ts';
import { PROBLEM_TYPE, problemOf } from './problem.ts';

/** Seconds after which a caller should try again when nobody knows better. */
const DEFAULT_RETRY_SECONDS: Partial<Record<ErrorCode, number>> = {
  'redis-unavailable': 1,
  'shutting-down': 1,
  'stream-full': 1,
};

/** Makes every error answer a problem: what routes throw, what fastify refuses, unknown paths, wrong methods, and the time of closing. */
export function answerErrors(app: App, deps: Pick<AppDeps, 'log'>): void {
  const routes: { readonly method: string; readonly path: RegExp }[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    const path = new RegExp(`^${url.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/:\w+/g, '[^/]+')}$`);
    for (const each of [method].flat()) routes.push({ method: each, path });
  });

  let closing = false;
  app.addHook('preClose', async () => {
    closing = true;
  });
  app.addHook('onRequest', async (_request, reply) => {
    if (!closing) return;
    void reply.header('connection', 'close');
    throw new FleetError('shutting-down', 'Send it again: another process answers.');
  });

  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const allowed = routes.filter((route) => route.path.test(path)).map((route) => route.method);
    if (allowed.length === 0)
      return sendProblem(reply, new FleetError('not-found', 'There is no such path; see /openapi.json.'));
    void reply.header('allow', [...new Set(allowed)].join(', '));
    return sendProblem(reply, new FleetError('method-not-allowed', `Use ${[...new Set(allowed)].join(' or ')}.`));
  });

  app.setErrorHandler(async (error, request, reply) => {
    const { problem, ours } = problemOf(error);
    if (ours)
      deps.log.error(
        { err: error, requestId: request.id, route: request.routeOptions.url, code: problem.code },
        'request failed',
      );
    return sendProblem(reply, error);
  });
}

/** Answers with the problem that an error means. */
export function sendProblem(reply: FastifyReply, error: unknown): FastifyReply {
  const { problem, retryAfterMs } = problemOf(error);
  const code = error instanceof FleetError ? error.code : undefined;
  const retrySeconds =
    retryAfterMs === undefined ? code && DEFAULT_RETRY_SECONDS[code] : Math.ceil(retryAfterMs / 1000);
  if (retrySeconds !== undefined) void reply.header('retry-after', retrySeconds);
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer');
  // Serialized here: an error must not fail by the response schema of the route it happened in.
  return reply.code(problem.status).type(PROBLEM_TYPE).serializer(String).send(JSON.stringify(problem));
}
