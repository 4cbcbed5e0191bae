import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { isOwnHost } from './sim/host-check.ts';
import { simRoutes, type SimRouteDeps } from './sim/routes.ts';
import type { Catalog } from './tavus/catalog.ts';
import { tavusRoutes } from './tavus/routes.ts';

export type AppDeps = SimRouteDeps & {
  readonly catalog: Catalog;
  readonly logger?: FastifyBaseLogger;
  /** Host headers served beside this machine's own. */
  readonly allowedHosts?: readonly string[];
  /** Adds the pages and bundles of the rooms (`/daily`, `/rooms`, `/watch`); absent in tests of the REST side. */
  readonly pages?: (app: FastifyInstance) => Promise<void> | void;
};

/** The routes and nothing else: no port, no signal, no browser. */
export function buildApp(deps: AppDeps): FastifyInstance {
  const app: FastifyInstance = Fastify({
    ...(deps.logger === undefined ? { logger: false as const } : { loggerInstance: deps.logger }),
    // Requests carry conversation URLs and callback tokens in their paths and answers; our own lines say what matters.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 1024 * 1024,
    // A create that never answers would hold close() until its client gives up.
    forceCloseConnections: true,
    // The pages' scripts are bundled before it is ready; the default of 10 s is short on a busy machine.
    pluginTimeout: 60_000,
  });

  app.addHook('onRequest', (request, reply, done) => {
    if (isOwnHost(request.headers.host, request.socket.localPort, deps.allowedHosts)) done();
    else void reply.code(403).send({ error: 'Host not allowed' });
  });

  // Many HTTP clients name JSON and send nothing on POST …/end and DELETE: that is no error for Tavus.
  const parseJson = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body.toString(); // a string already: the type covers both settings of parseAs
    if (text.trim() === '') done(null, undefined);
    else void parseJson(request, text, done);
  });

  app.get('/healthz', async () => ({ status: 'ok' }));
  void app.register(async (scope) => tavusRoutes(scope, deps), { prefix: '/v2' });
  void app.register(async (scope) => simRoutes(scope, deps), { prefix: '/sim' });
  if (deps.pages !== undefined) {
    const { pages } = deps;
    void app.register(async (scope) => pages(scope));
  }
  return app;
}
