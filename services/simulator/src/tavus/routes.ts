import type { FastifyError, FastifyInstance } from 'fastify';
import type { Catalog } from './catalog.ts';
import { catalogRoutes } from './catalog-routes.ts';
import { conversationRoutes, type ConversationRouteDeps } from './conversation-routes.ts';
import { TavusError, tavusErrors } from './errors.ts';

/** Everything below `/v2`: the key first, then the routes; whatever goes wrong is answered in one of Tavus' two shapes. */
export function tavusRoutes(app: FastifyInstance, deps: ConversationRouteDeps & { readonly catalog: Catalog }): void {
  app.addHook('onRequest', async (request) => {
    const key = request.headers['x-api-key'];
    if (typeof key !== 'string' || key.trim() === '' || deps.settings.current.refusedApiKeys.includes(key))
      throw tavusErrors.accessToken();
  });

  app.setErrorHandler<FastifyError | TavusError>((error, request, reply) => {
    if (error instanceof TavusError) return reply.code(error.status).headers(error.headers).send(error.body);
    const status = error.statusCode ?? 500;
    if (status >= 500) request.log.error({ err: error }, 'route failed');
    return reply.code(status).send({ message: status < 500 ? error.message : 'Internal server error' });
  });

  app.setNotFoundHandler(() => {
    throw tavusErrors.noRoute();
  });

  conversationRoutes(app, deps);
  catalogRoutes(app, deps.catalog);
}
