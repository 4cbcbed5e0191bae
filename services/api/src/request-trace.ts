import { serverSpan, type ServerSpan } from '@tavus-fleet/telemetry';
import type { FastifyRequest } from 'fastify';
import type { App } from './app.ts';

/**
 * One span per request that asks for something; it goes on in the caller's trace when the request has a `traceparent`. Registered
 * behind the key check, so that strangers neither fill the collector nor choose trace ids. Reads and long-lived streams have none.
 * The route's pattern, not the URL: what stands in a path or query is no attribute.
 */
export function traceRequests(app: App): void {
  const spans = new WeakMap<FastifyRequest, ServerSpan>();
  app.addHook('onRequest', async (request) => {
    if (request.method === 'GET') return;
    const route = request.routeOptions.url ?? 'unknown';
    const { traceparent } = request.headers;
    spans.set(
      request,
      serverSpan(
        `${request.method} ${route}`,
        { 'http.request.method': request.method, 'http.route': route, 'fleet.key': request.caller },
        typeof traceparent === 'string' ? traceparent : undefined,
      ),
    );
  });
  // The last hook before the handler: reading a body loses whatever context was entered before it.
  app.addHook('preHandler', (request, _reply, done) => {
    const span = spans.get(request);
    if (span) span.within(done);
    else done();
  });
  app.addHook('onResponse', async (request, reply) => {
    const { statusCode } = reply;
    spans.get(request)?.end({
      'http.response.status_code': statusCode,
      ...(statusCode >= 500 ? { 'error.type': String(statusCode) } : {}),
    });
  });
}
