import type { App, AppDeps } from './app.ts';

/**
 * One line per answered request: who asked which route, and what came of it. The route's pattern, not the URL: ids stand in their
 * own field, and what strangers write into a path or query never reaches a log. No bodies, no headers.
 */
export function logRequests(app: App, deps: Pick<AppDeps, 'log'>): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' });
    if (request.url.startsWith('/v1/')) void reply.header('cache-control', 'no-store');
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url;
    const probe = route === '/healthz' || route === '/readyz';
    deps.log[probe ? 'debug' : 'info'](
      {
        requestId: request.id,
        method: request.method,
        route: route ?? 'unknown',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ...(request.caller === '' ? {} : { key: request.caller }),
      },
      'request',
    );
  });
}
