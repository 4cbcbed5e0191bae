import Fastify, { type FastifyInstance } from 'fastify';

export type DebugDeps = {
  readonly live: () => boolean;
  /** Why it is not ready, or undefined. */
  readonly whyNotReady: () => string | undefined;
  readonly expose: () => Promise<{ contentType: string; body: string }>;
  readonly sessions: () => object;
};

/** /healthz /readyz /metrics and what this worker's sessions are doing. Loopback by default; no secret in any answer. */
export function buildDebugServer(deps: DebugDeps): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: true });
  app.get('/healthz', (_, reply) => reply.code(deps.live() ? 200 : 503).send({ ok: deps.live() }));
  app.get('/readyz', (_, reply) => {
    const why = deps.whyNotReady();
    return reply.code(why === undefined ? 200 : 503).send(why === undefined ? { ok: true } : { ok: false, why });
  });
  app.get('/metrics', async (_, reply) => {
    const { contentType, body } = await deps.expose();
    return reply.header('content-type', contentType).send(body);
  });
  app.get('/debug/sessions', () => deps.sessions());
  return app;
}
